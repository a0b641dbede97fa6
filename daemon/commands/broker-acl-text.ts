/**
 * The rules of an external broker, in the words of each: a surface publishes only its own `up/` and hears only its own `down/`
 * and the gateways' status; gateways have the whole site. Who somebody is comes from the certificate alone.
 */
import { topicRoot } from '../bridge/wire/topics.ts';

export const brokerKinds = ['mosquitto', 'emqx', 'rabbitmq', 'nats', 'hivemq', 'vernemq'] as const;
export type BrokerKind = (typeof brokerKinds)[number];

/** What the rules are made of. */
export interface BrokerFacts {
  readonly site: string;
  /** Users that gateways are by their certificates (CN), at least one. */
  readonly gateways: readonly string[];
  /** For brokers that have no patterns and must know each surface. */
  readonly surfaces: readonly string[];
  /** Folder with ca.pem, server.pem, server.key and these files, on the machine of the broker. */
  readonly folder: string;
  readonly listen: { readonly host: string; readonly port: number };
}

/** Largest packet that a broker has to take, bytes: payload of 4 KiB, topic, headers. */
const maxPacketBytes = 8192;

/** Files by name; of brokers that are not in Debian each says that it was written by their documentation only. */
export function brokerFiles(kind: BrokerKind, facts: BrokerFacts): Readonly<Record<string, string>> {
  return makers[kind](facts);
}

const root = ({ site }: BrokerFacts): string => `${topicRoot}/${site}`;
const untried =
  'Written after the documentation of the broker; not tried against one by the tests of this project.';

/** %u is the user, which is the CN. An ACL file denies whatever it does not name, `$SYS` too. */
const patternAcl = (facts: BrokerFacts): string =>
  lines(
    ...facts.gateways.flatMap((user) => [`user ${user}`, `topic readwrite ${root(facts)}/#`, '']),
    '# Every other user is the surface that its certificate names.',
    `pattern write ${root(facts)}/%u/up/#`,
    `pattern read ${root(facts)}/%u/down/#`,
    `pattern read ${root(facts)}/_gw/+/status`,
  );

const makers: Readonly<Record<BrokerKind, (facts: BrokerFacts) => Readonly<Record<string, string>>>> = {
  mosquitto: (facts) => ({
    'mosquitto.conf': lines(
      'per_listener_settings false',
      `listener ${facts.listen.port} ${facts.listen.host}`,
      `cafile ${facts.folder}/ca.pem`,
      `certfile ${facts.folder}/server.pem`,
      `keyfile ${facts.folder}/server.key`,
      'tls_version tlsv1.3',
      'require_certificate true',
      '# The CN is the user, and the client id whatever a client says: nobody can take over the session of another.',
      'use_identity_as_username true',
      'use_username_as_clientid true',
      'allow_anonymous false',
      `acl_file ${facts.folder}/acl`,
      `max_packet_size ${maxPacketBytes}`,
      'max_qos 1',
      'max_inflight_messages 100',
      '# A gateway hears every surface: when thousands come at once, more than a default queue holds waits for it, and the rest',
      '# is lost until they speak again.',
      'max_queued_messages 100000',
      '# Kept messages survive a restart; what was kept since the last save is said again by gateways and surfaces.',
      'persistence true',
      'autosave_interval 60',
    ),
    acl: patternAcl(facts),
  }),

  vernemq: (facts) => ({
    'vernemq.conf': lines(
      `# ${untried}`,
      `listener.ssl.surfaced = ${facts.listen.host}:${facts.listen.port}`,
      `listener.ssl.surfaced.cafile = ${facts.folder}/ca.pem`,
      `listener.ssl.surfaced.certfile = ${facts.folder}/server.pem`,
      `listener.ssl.surfaced.keyfile = ${facts.folder}/server.key`,
      'listener.ssl.surfaced.require_certificate = on',
      'listener.ssl.surfaced.use_identity_as_username = on',
      'allow_anonymous = off',
      'plugins.vmq_passwd = off',
      'plugins.vmq_acl = on',
      `vmq_acl.acl_file = ${facts.folder}/acl`,
      `max_message_size = ${maxPacketBytes}`,
    ),
    acl: patternAcl(facts),
  }),

  emqx: (facts) => ({
    'emqx.conf': lines(
      `# ${untried}`,
      'listeners.ssl.surfaced {',
      `  bind = "${facts.listen.host}:${facts.listen.port}"`,
      `  ssl_options { cacertfile = "${facts.folder}/ca.pem", certfile = "${facts.folder}/server.pem", keyfile = "${facts.folder}/server.key"`,
      '    verify = verify_peer, fail_if_no_peer_cert = true, versions = ["tlsv1.3"] }',
      '}',
      'mqtt { peer_cert_as_username = cn, peer_cert_as_clientid = cn, max_packet_size = 8KB, max_qos_allowed = 1 }',
      '# ignore, not disconnect: a client that is disconnected sends what was refused again for ever.',
      `authorization { no_match = deny, deny_action = ignore, sources = [ { type = file, enable = true, path = "${facts.folder}/acl.conf" } ] }`,
    ),
    'acl.conf': lines(
      ...facts.gateways.map((user) => `{allow, {username, "${user}"}, all, ["${root(facts)}/#"]}.`),
      `{allow, all, publish, ["${root(facts)}/\${username}/up/#"]}.`,
      `{allow, all, subscribe, ["${root(facts)}/\${username}/down/#", "${root(facts)}/_gw/+/status"]}.`,
      '{deny, all}.',
    ),
  }),

  hivemq: (facts) => ({
    'enterprise-security.xml': lines(
      `<!-- ${untried} -->`,
      '<!-- The Enterprise Security Extension: the CN becomes the key by which its SQL, LDAP or file realm finds permissions. -->',
      '<x509-preprocessor><x509-extractions><x509-extraction>',
      '  <x509-field>subject-common-name</x509-field><ese-variable>authentication-key</ese-variable>',
      '</x509-extraction></x509-extractions></x509-preprocessor>',
    ),
    'permissions.txt': lines(
      'Permissions for that realm, one a line: role, topic, activity, QoS, retained.',
      `gateway (${facts.gateways.join(', ')}): ${root(facts)}/# PUBLISH_SUBSCRIBE 0-1 all`,
      `surface (everybody else): ${root(facts)}/\${mqtt-clientid}/up/# PUBLISH 0-1 all`,
      `surface: ${root(facts)}/\${mqtt-clientid}/down/# SUBSCRIBE 0-1 all`,
      `surface: ${root(facts)}/_gw/+/status SUBSCRIBE 0-1 all`,
      'The listener must require client certificates, and the client id must be the CN, or the rules above are worth nothing.',
    ),
  }),

  nats: (facts) => ({
    'nats.conf': lines(
      '# Every surface has an entry of its own: print this anew and reload (SIGHUP) when one is added.',
      'server_name: surfaced',
      'listen: "127.0.0.1:-1"',
      `jetstream { store_dir: "${facts.folder}/jetstream" }`,
      `max_payload: ${maxPacketBytes}`,
      'mqtt {',
      `  listen: "${facts.listen.host}:${facts.listen.port}"`,
      '  tls {',
      `    cert_file: "${facts.folder}/server.pem"`,
      `    key_file: "${facts.folder}/server.key"`,
      `    ca_file: "${facts.folder}/ca.pem"`,
      '    # The subject of the certificate is the user.',
      '    verify_and_map: true',
      '  }',
      '}',
      'authorization { users: [',
      ...facts.gateways.map((user) =>
        natsUser(user, [`${dotted(root(facts))}.>`], [dotted(root(facts)), `${dotted(root(facts))}.>`]),
      ),
      ...facts.surfaces.map((surface) =>
        natsUser(
          surface,
          [`${dotted(root(facts))}.${surface}.up.>`],
          [
            // `a/#` is two subjects: what is below, and `a` itself.
            `${dotted(root(facts))}.${surface}.down`,
            `${dotted(root(facts))}.${surface}.down.>`,
            `${dotted(root(facts))}._gw.*.status`,
          ],
        ),
      ),
      '] }',
    ),
  }),

  rabbitmq: (facts) => ({
    'rabbitmq.conf': lines(
      '# The plug-ins rabbitmq_mqtt and rabbitmq_auth_mechanism_ssl are needed.',
      'listeners.tcp = none',
      'mqtt.listeners.tcp = none',
      `mqtt.listeners.ssl.1 = ${facts.listen.host}:${facts.listen.port}`,
      `ssl_options.cacertfile = ${facts.folder}/ca.pem`,
      `ssl_options.certfile = ${facts.folder}/server.pem`,
      `ssl_options.keyfile = ${facts.folder}/server.key`,
      'ssl_options.verify = verify_peer',
      'ssl_options.fail_if_no_peer_cert = true',
      'ssl_options.versions.1 = tlsv1.3',
      '# The CN is the user; it must be one of definitions.json.',
      'ssl_cert_login_from = common_name',
      'mqtt.ssl_cert_login = true',
      'mqtt.allow_anonymous = false',
      'mqtt.vhost = /',
      'mqtt.exchange = amq.topic',
      `max_message_size = ${maxPacketBytes}`,
      `load_definitions = ${facts.folder}/definitions.json`,
    ),
    enabled_plugins: '[rabbitmq_mqtt,rabbitmq_auth_mechanism_ssl].\n',
    'definitions.json': `${JSON.stringify(rabbitDefinitions(facts), null, 2)}\n`,
  }),
};

/** In NATS and AMQP the parts of a name have dots between them. */
const dotted = (topic: string): string => topic.replaceAll('/', '.');

function natsUser(name: string, publish: readonly string[], subscribe: readonly string[]): string {
  // Without $MQTT.sub a client gets nothing with QoS 1 (docs.nats.io, MQTT configuration, permissions).
  const list = (subjects: readonly string[]): string => subjects.map((subject) => `"${subject}"`).join(', ');
  return `  { user: "CN=${name}", permissions { publish: [${list(publish)}], subscribe: [${list([...subscribe, '$MQTT.sub.>'])}] } }`;
}

/** RabbitMQ checks the exchange and the queue by `permissions` and the topic, as a routing key, by `topic_permissions`. */
function rabbitDefinitions(facts: BrokerFacts): unknown {
  const base = dotted(root(facts)).replaceAll('.', '\\.');
  const users = [...facts.gateways, ...facts.surfaces];
  const isGateway = (user: string): boolean => facts.gateways.includes(user);
  return {
    users: users.map((name) => ({
      name,
      password_hash: '',
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      tags: '',
    })),
    vhosts: [{ name: '/' }],
    permissions: users.map((user) => {
      // The queue has the client id in its name: only under its own can a surface subscribe.
      const queue = isGateway(user) ? 'mqtt-subscription-_gw.*' : `mqtt-subscription-${user}qos[01]`;
      const own = `^(${queue}|amq\\.topic)$`;
      return { user, vhost: '/', configure: `^${queue}$`, write: own, read: own };
    }),
    topic_permissions: users.map((user) => ({
      ...{ user, vhost: '/', exchange: 'amq.topic' },
      write: isGateway(user) ? `^${base}\\..*` : `^${base}\\.${user}\\.up\\.[a-z]+$`,
      read: isGateway(user) ? `^${base}\\..*` : `^${base}\\.(${user}\\.down\\..*|_gw\\.[^.#]+\\.status)$`,
    })),
    policies: [],
  };
}

const lines = (...all: readonly string[]): string => `${all.join('\n').trimEnd()}\n`;
