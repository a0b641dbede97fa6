/**
 * Every error that a user can meet has a code, a class and a remedy. `docs/errors.md` is generated from
 * this table; a structure test fails when a code is undocumented or never raised.
 */

/** What the process or the caller should do about it. */
export type ErrorClass =
  /** The command line or a config is wrong: exit 2, never retried. */
  | 'usage'
  /** May pass by itself: retried with back-off and shown meanwhile. */
  | 'retry'
  /** Refused by the other side for a reason that retrying will not change. */
  | 'refused'
  /** A defect or an impossible state: exit 1. */
  | 'fatal';

interface ErrorEntry {
  readonly class: ErrorClass;
  /** What happened, one sentence without a full stop. */
  readonly title: string;
  /** What to do about it, one imperative sentence. */
  readonly remedy: string;
}

export const errorTable = {
  // config and command line
  E_CFG_INVALID: {
    class: 'usage',
    title: 'A configuration file does not match its schema',
    remedy: 'Correct the fields named in the message; `schemas/` has the JSON Schemas for your editor.',
  },
  E_CFG_READ: {
    class: 'usage',
    title: 'A configuration file cannot be read',
    remedy: 'Check the path and its permissions.',
  },
  E_USAGE: {
    class: 'usage',
    title: 'The command line is wrong',
    remedy: 'See `surfaced --help`, and `--help` of the command.',
  },
  // hw
  E_HW_PORT_OPEN: {
    class: 'retry',
    title: 'The port of the panel cannot be opened',
    remedy: 'Check that the panel is plugged in and that `panel.port.path` names it; see docs/panels.md.',
  },
  E_HW_PORT_LOST: {
    class: 'retry',
    title: 'The panel was unplugged',
    remedy: 'Plug it in again; it is opened by itself.',
  },
  E_HW_PORT_STUCK: {
    class: 'retry',
    title: 'The panel takes no data',
    remedy: 'Check its power and cable; it is closed and opened again by itself.',
  },
  E_HW_PACKAGE: {
    class: 'fatal',
    title: 'An optional package with native code that the port of the panel needs is missing',
    remedy: 'Install with `npm install --include=optional`.',
  },
  E_HW_BUS_OPEN: {
    class: 'retry',
    title: 'An I2C bus cannot be opened',
    remedy:
      'Switch the bus on in config.txt (`dtparam=i2c_arm=on` on Raspberry Pi OS, `dtoverlay=header` on the SD-card image), and put the user of surfaced in the group `i2c`; `surfaced doctor` tells which.',
  },
  E_HW_BUS: {
    class: 'retry',
    title: 'An I2C transfer failed or took too long',
    remedy:
      'Check wiring, pull-ups and cable length; the bus is opened again by itself, and `surfaced doctor` tells which part fails. When a part holds a line of the bus low, only taking the power away from the parts on that bus frees it.',
  },
  E_HW_IN_USE: {
    class: 'fatal',
    title: 'Another process of surfaced works with the same panel',
    remedy: 'Stop it first, for instance with `systemctl stop surfaced-device`.',
  },
  E_HW_NO_ACK: {
    class: 'retry',
    title: 'A part does not answer at its I2C address',
    remedy: 'Check its power, wiring and address jumpers; it is used as soon as it answers.',
  },
  E_HW_PART: {
    class: 'retry',
    title: 'A part answers, but not as it should',
    remedy:
      'Check that `part` and `address` name what is wired there; `surfaced doctor` tells what it found.',
  },
  E_HW_GPIO: {
    class: 'retry',
    title: 'GPIO lines cannot be used',
    remedy:
      'Check that no driver or program has the lines (`gpioinfo`), and put the user of surfaced in the group `gpio`.',
  },
  E_HW_INPUT: {
    class: 'retry',
    title: 'A kernel input device cannot be used',
    remedy:
      'Check that its overlay is loaded and its name is one of `/proc/bus/input/devices`, and put the user of surfaced in the group `input`.',
  },
  E_HW_FRAME_BUFFER: {
    class: 'retry',
    title: 'The frame buffer of a part cannot be used',
    remedy:
      'Check that the overlay of the part is loaded, and put the user of surfaced in the group `video`.',
  },
  E_HW_CALIBRATION: {
    class: 'usage',
    title: 'The calibration of the faders cannot be read or written',
    remedy:
      'When it cannot be read, remove the file that the message names and run `surfaced calibrate` again; when it cannot be written, run that as root, or name a place that can be in `panel.calibration`.',
  },
  // attest
  E_CA_BROKEN: {
    class: 'fatal',
    title: "The gateway's CA cannot be used",
    remedy:
      'Restore `ca.pem` in the state folder from a backup; or remove it, and every surface needs the new pin and a new token.',
  },
  E_STATE_DIR: {
    class: 'fatal',
    title: 'The state folder cannot be used',
    remedy: 'Check that the state folder exists on a writable disk with space and belongs to the gateway.',
  },
  E_ENROL_REQUEST: {
    class: 'refused',
    title: 'The gateway does not understand an enrolment request',
    remedy: 'Update the surface and the gateway to versions that fit each other.',
  },
  E_ENROL_KIND: {
    class: 'refused',
    title: 'The gateway does not take that kind of proof from this surface',
    remedy: 'Update the surface: with a TPM it renews by fresh evidence.',
  },
  E_ENROL_POLICY: {
    class: 'refused',
    title: 'The policy of the gateway does not accept a token as identity',
    remedy: 'Set `policy.identity: token` in the Gateway file if surfaces without attestation may act.',
  },
  E_ENROL_SESSION: {
    class: 'retry',
    title: 'The enrolment session is unknown, used, too old or belongs to another connection',
    remedy: 'Nothing: the surface begins again by itself.',
  },
  E_ENROL_CSR: {
    class: 'refused',
    title: 'The certificate request cannot be accepted',
    remedy: 'Update the surface; requests must be signed and carry a P-256 key.',
  },
  E_ENROL_CERTIFICATE: {
    class: 'refused',
    title: 'Renewal needs the current certificate of the surface, and it does not hold',
    remedy: 'Enrol again with a new token (`surfaced enroll token`).',
  },
  E_ENROL_RATE: {
    class: 'retry',
    title: 'Too many enrolment requests from one address',
    remedy: 'Wait a minute; the surface tries again by itself.',
  },
  E_ENROL_FAILED: {
    class: 'retry',
    title: 'The gateway failed while it handled an enrolment request',
    remedy: "Look for the request in the gateway's log.",
  },
  E_TOKEN_REFUSED: {
    class: 'refused',
    title: 'The one-time token is not known to this gateway',
    remedy: 'Check the token, or make a new one with `surfaced enroll token`.',
  },
  E_TOKEN_SPENT: {
    class: 'refused',
    title: 'The one-time token has been used or is too old',
    remedy: 'Make a new token with `surfaced enroll token` and put it on the surface.',
  },
  E_SURFACE_UNKNOWN: {
    class: 'refused',
    title: "The surface is not in the gateway's registry",
    remedy: "Add a ControlSurface file with that name to the gateway's registry folder.",
  },
  E_SURFACE_REVOKED: {
    class: 'refused',
    title: 'The surface has been revoked',
    remedy: 'Set `spec.isRevoked: false` in its ControlSurface file if it may act again.',
  },
  E_GATEWAY_UNREACHABLE: {
    class: 'retry',
    title: 'The enrolment endpoint of the gateway does not answer',
    remedy: 'Check `gateway.url`, the network and that the gateway runs; the surface keeps trying.',
  },
  E_GATEWAY_PIN: {
    class: 'refused',
    title: 'The gateway does not show the CA that `gateway.caPin` names',
    remedy:
      'Compare with the pin that `surfaced enroll token` prints; if they should be equal, somebody is in between.',
  },
  E_GATEWAY_CERTIFICATE: {
    class: 'refused',
    title: "The gateway's certificate does not hold",
    remedy: "Add the host of `gateway.url` to the gateway's `enrol.hosts`.",
  },
  E_GATEWAY_ANSWER: {
    class: 'retry',
    title: 'The gateway answered with something that is not an enrolment answer',
    remedy: 'Check that `gateway.url` names the enrolment port of the gateway, and that the versions fit.',
  },
  E_CREDENTIALS_ENDED: {
    class: 'refused',
    title: 'The certificate of the surface has run out and its token is spent',
    remedy: 'Make a new token with `surfaced enroll token` and put it on the surface.',
  },
  E_ENROL_QUARANTINE: {
    class: 'retry',
    title: 'The gateway does not know this TPM yet',
    remedy:
      'Compare the code on the panel with that of `surfaced surfaces list` on the gateway, and let it in with `surfaced surfaces approve`.',
  },
  E_ENROL_EVIDENCE: {
    class: 'refused',
    title: 'The evidence of the surface is not accepted',
    remedy:
      'Look at the check that the message names; `surfaced surfaces show` on the gateway has the whole verdict, and the surface tries again by itself.',
  },
  E_ENROL_EPOCH: {
    class: 'retry',
    title: 'The TPM was reset since the last evidence, so all logs are needed',
    remedy: 'Nothing: the surface begins again by itself and sends everything.',
  },
  E_ENROL_BUSY: {
    class: 'retry',
    title: 'The gateway is judging as much evidence as it can at a time',
    remedy: 'Nothing: the surface tries again by itself.',
  },
  E_TPM_OPEN: {
    class: 'retry',
    title: 'The TPM does not answer',
    remedy:
      'Check that the TPM is connected, its overlay is in config.txt (`dtoverlay=tpm-slb9670`), and the user of surfaced is in the group `tss`; `identity.tpm` says where it is.',
  },
  E_TPM: {
    class: 'retry',
    title: 'The TPM refused a command, or answered with something that it cannot have said',
    remedy:
      'Look at the command and the code in the message; if it stays, take the power away from the TPM for a moment.',
  },
  E_TPM_LOCKOUT: {
    class: 'retry',
    title: 'The TPM is in dictionary-attack lockout',
    remedy:
      'Wait until it ends (`surfaced doctor` tells how long), or reset it with the lockout authorization; the keys of surfaced are not subject to it.',
  },
  E_POLICY_SET: {
    class: 'usage',
    title: 'A reference set cannot be used',
    remedy:
      'Correct what the message names; sign the file again with `surfaced policy sign` after every change.',
  },
  E_AUDIT_BROKEN: {
    class: 'fatal',
    title: 'The audit log was changed, cut or cannot be read',
    remedy:
      'Look at the record that the message names; move the folder `audit` away to begin a new log, and keep it as evidence.',
  },
  E_AUDIT_WRITE: {
    class: 'retry',
    title: 'The audit log cannot be written, so nothing that belongs in it is done',
    remedy: 'Check that the disk of the state folder has space and is writable.',
  },
  E_MEASURE: {
    class: 'usage',
    title: 'Files cannot be measured',
    remedy: 'Check the paths, the PCR (8, 9, 11 to 15) and that the log can be written.',
  },
  E_SECRET: {
    class: 'refused',
    title: 'A sealed secret cannot be opened',
    remedy:
      'It opens only in the TPM that sealed it and while the measurements are those of its policy; approve the new ones with `surfaced secret approve`, or seal it again.',
  },
  // first boot
  E_PRESEED: {
    class: 'usage',
    title: 'What Raspberry Pi Imager wrote for the first start cannot be read',
    remedy:
      'Correct the line that the message names in rpi-preseed.toml, or let Raspberry Pi Imager write it again; docs/first-boot.md says what may be in it.',
  },
  E_FIRST_BOOT: {
    class: 'retry',
    title: 'The boot partition or the data partition cannot be written',
    remedy:
      'Look whether the card is full, write-protected or worn out (`dmesg`); what was not taken over is tried again at the next start.',
  },
  E_NOT_IMAGE: {
    class: 'usage',
    title: 'This machine does not run the SD-card image of surfaced',
    remedy:
      'Only the image takes files from a boot partition and has a data partition to reset; elsewhere write /etc/surfaced/device.yaml by hand, and to reset stop surfaced and remove that file and the state folder.',
  },
  E_ADMISSION: {
    class: 'usage',
    title: 'The admission endpoint cannot be used',
    remedy: 'Check `admission` in the Gateway file.',
  },
  E_SWTPM: {
    class: 'usage',
    title: 'The demo attests with a software TPM, and there is none',
    remedy: 'Install it (`apt-get install swtpm`), or run the demo without attestation: `--identity token`.',
  },
  E_ATTEST_LOG: {
    class: 'refused',
    title: 'A measurement log cannot be read',
    remedy:
      'Look at the byte and the field that the message names; a log that grows on a running system is complete again after a restart.',
  },
  E_ATTEST_CERTIFICATE: {
    class: 'refused',
    title: 'A certificate of an endorsement key cannot be read',
    remedy:
      'Look at the field that the message names; where the TPM came with a damaged certificate, pin the hash of its key instead.',
  },
  // registry
  E_REGISTRY: {
    class: 'usage',
    title: 'The registry cannot be used',
    remedy:
      'Check `registry` in the Gateway file: that the folder exists and the gateway may read it; in the cluster, that the definitions are installed and its account has its rights (docs/registry.md).',
  },
  // bridge: wire, link, broker
  E_LINK_CONNECT: {
    class: 'retry',
    title: 'The surface cannot reach the gateway',
    remedy: 'Check the network, the gateway address and that the gateway runs; it is tried again by itself.',
  },
  E_LINK_REFUSED: {
    class: 'refused',
    title: 'The gateway and the surface do not accept each other',
    remedy:
      'Check that the surface is in the registry and not revoked, and that `caPin` is that of the gateway.',
  },
  E_BROKER_CONNECT: {
    class: 'retry',
    title: 'The gateway cannot reach the external broker, or has lost it',
    remedy: 'Check `broker.urls`, the network and that the broker runs; it is tried again by itself.',
  },
  E_BROKER_REFUSED: {
    class: 'refused',
    title: 'The external broker and the gateway do not accept each other',
    remedy:
      'Compare `broker.ca`, `broker.certificate` and the user that the broker takes from it with what `surfaced broker acl` prints.',
  },
  E_BROKER_ACL: {
    class: 'refused',
    title: 'The external broker lets a surface do what only others may',
    remedy:
      'Give the broker the rules that `surfaced broker acl` prints; until then the gateway takes nothing from it.',
  },
  E_SHARD_LOST: {
    class: 'fatal',
    title: 'This gateway may not be the active one any more',
    remedy:
      'It ends, so that another one takes over; started anew it waits for its turn. When this comes again, see whether the API server is slow or away.',
  },
  E_BROKER_IDENTITY: {
    class: 'usage',
    title: 'The external broker cannot tell the gateway from a surface',
    remedy:
      'Give the gateway a certificate whose CN is no name of a surface, such as `_gw-1`; see docs/brokers.md.',
  },
  // bridge: kube, gateway
  E_KUBE_CONFIG: {
    class: 'usage',
    title: 'The kubeconfig cannot be used',
    remedy:
      'Name a kubeconfig and one of its contexts: under `cluster` in the Gateway file, or with `--kubeconfig` and `--context` of the demo.',
  },
  // update
  E_UPDATE_BUNDLE: {
    class: 'refused',
    title: 'A file is no bundle of an update, or a broken one',
    remedy: 'Fetch or build the bundle again; `rauc info` tells more about one that is whole.',
  },
  E_UPDATE_SIGNER: {
    class: 'refused',
    title: 'A bundle is not signed by anybody who is trusted',
    remedy:
      'Use a bundle of the release that this image is from, or build the image with the CA of your own key; see docs/update.md.',
  },
  E_UPDATE_DATA: {
    class: 'refused',
    title: 'The data of a bundle was damaged or changed',
    remedy: 'Fetch the bundle again; what runs was not touched.',
  },
  E_UPDATE_REQUEST: {
    class: 'refused',
    title: 'What the device daemon and the installer tell each other cannot be read',
    remedy:
      'Look at the file and the field that the message names; `surfaced update status` tells how it stands.',
  },
  E_ROLLOUT: {
    class: 'usage',
    title: 'Updates cannot be offered or rolled out',
    remedy: 'Correct what the message names; docs/rollout.md tells how updates reach a fleet.',
  },
  E_UPDATE_COMPATIBLE: {
    class: 'refused',
    title: 'A bundle is for another kind of device',
    remedy: 'Use the bundle that belongs to this image.',
  },
  E_UPDATE_DOWNGRADE: {
    class: 'refused',
    title: 'A bundle is older than what runs',
    remedy:
      'Use a newer one; on the surface itself `surfaced update install --allow-downgrade` installs an older one all the same.',
  },
  E_UPDATE_PENDING: {
    class: 'refused',
    title: 'An update is under way already',
    remedy:
      'See `surfaced update status`; restart when an update waits for it, and let one that is on trial prove itself, which takes five minutes at most.',
  },
  E_UPDATE_SOURCE: {
    class: 'retry',
    title: 'A bundle cannot be fetched',
    remedy:
      'Check the address, the network and, with `--tls-ca`, that the file is of the CA of this server; what runs was not touched.',
  },
  E_UPDATE_SPACE: {
    class: 'refused',
    title: 'There is no room for an update',
    remedy:
      'Use the bundle that belongs to this image, whose slots are of a fixed size; when the message names a file, make room where that is (`df -h`).',
  },
  E_UPDATE_SYSTEM: {
    class: 'fatal',
    title: 'This system cannot be updated by surfaced',
    remedy:
      'Updates by slots are those of the SD-card image, as root; elsewhere update the package. `journalctl -u rauc` tells more.',
  },
  // roles, web, demo, sim
  E_LISTEN: {
    class: 'usage',
    title: 'An address to listen on cannot be had',
    remedy: 'Choose another port or end the program that has it.',
  },
  E_PAGES_ASK: {
    class: 'retry',
    title: 'The API server cannot be asked who somebody is, or what they may do',
    remedy:
      'Look at the API server; the gateway needs `create` on tokenreviews and subjectaccessreviews (`deploy/components/pages`).',
  },
  E_PAGES_REFUSED: {
    class: 'refused',
    title: 'Something that was asked for on the pages is not done',
    remedy: 'The message says why; open the page again to see what is now.',
  },
  E_PAGES_OIDC: {
    class: 'refused',
    title: 'A log-in by OpenID Connect led nowhere',
    remedy:
      'See `pages.login.oidc` in the Gateway file and the client at the provider; docs/pages.md has both.',
  },
  E_PAGES_CERTIFICATE: {
    class: 'usage',
    title: 'The certificate of the pages cannot be used',
    remedy: 'Give files with a certificate and its key, PEM, under `pages`, or leave both out.',
  },
  E_PANEL_PORT: {
    class: 'usage',
    title: "The demo panel's port cannot be had",
    remedy: 'Choose another port with `--port`, or `--port 0` for any free one.',
  },
  E_PANEL_PAGE: {
    class: 'fatal',
    title: "The demo panel's page is not built",
    remedy: 'Run `npm run build`.',
  },
  // image
  E_IMAGE_HOST: {
    class: 'usage',
    title: 'This machine cannot build the image',
    remedy:
      'Build it as root on Debian or Ubuntu on x86-64, on the machine itself or in a virtual machine, with the programs that the message names.',
  },
  E_IMAGE_ORDER: {
    class: 'usage',
    title: 'The image that was asked for cannot be built',
    remedy: 'See `npm run image -- --help` and docs/image.md.',
  },
  E_IMAGE_STEP: {
    class: 'fatal',
    title: 'A step in building the image failed',
    remedy:
      'Read what the command said; a download that failed or a disk that is full is the usual cause, and a second run goes on with what is kept.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorTable;

/** An error with a code of {@link errorTable}; `message` says what happened this time, `cause` why. */
export class SurfacedError extends Error {
  override readonly name = 'SurfacedError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get class(): ErrorClass {
    return errorTable[this.code].class;
  }

  get remedy(): string {
    return errorTable[this.code].remedy;
  }
}
