/** The pages of a gateway whose surfaces are in the cluster, with exactly the rights of `deploy/base` and its component. */
import t from 'tap';
import { withoutSwtpm } from '../attest/tpm2/live/swtpm.ts';
import { until } from '../bridge/registry/rig.ts';
import { Client } from '../hil/cluster/support.ts';
import { ask, form, logIn } from './http.ts';
import { site, tokens } from './rig.ts';
import { surface } from './tpm.ts';

const objects = '/apis/surfaced.dev/v1alpha1/namespaces/surfaced';

t.test(
  'decided by a page, carried out by its request',
  { skip: withoutSwtpm, timeout: 120_000 },
  async (t) => {
    const place = await site(t, { isInCluster: true });
    const { gateway, cluster } = place;
    const client = new Client(cluster);
    t.teardown(() => client.close());
    const attest = await surface(t, place);
    await t.rejects(attest(), { code: 'E_ENROL_QUARANTINE' });
    const { ekSha256 = '', pairingCode: code = '' } = gateway.trust.quarantine()[0] ?? {};
    const request = `${objects}/surfacerequests/tpm-${ekSha256.slice(0, 16)}`;
    await until(async () => String(JSON.stringify((await client.get(request)).body.status)).includes(code));

    const { cookie, formToken } = await logIn(place, tokens.operator);
    const page = async (path: string) => (await ask(place, path, { headers: { cookie } })).text;
    const send = (path: string, fields: Readonly<Record<string, string>>) =>
      ask(place, path, form(place, { form: formToken, ...fields }, { headers: { cookie } }));
    const decide = (fields: Readonly<Record<string, string>>) => send(`/approvals/${ekSha256}`, fields);

    await decide({ decision: 'deny' });
    t.match(await page('/approvals'), new RegExp(`Done:.*${code} is denied`));
    t.match((await client.get(request)).body, { spec: { decision: 'Deny' } });

    await decide({ decision: 'approve', code: '1', name: 'lobby' });
    t.match(await page(`/approvals/${ekSha256}`), /Refused:.*the code that you typed/);
    await decide({ decision: 'approve', code, name: 'No Name' });
    t.match(await page(`/approvals/${ekSha256}`), /Refused:.*expected a name/);
    await decide({ decision: 'approve', code, name: 'lobby', level: '0' });
    t.match(await page('/approvals'), /Done:.*lobby is approved/);
    t.match((await client.get(`${objects}/controlsurfaces/lobby`)).body, { spec: { tpm: { ekSha256 } } });
    await until(() => gateway.trust.of('lobby') !== null);
    t.match(await attest(), { surface: 'lobby', trust: 'tpm' });
    t.match(await page('/surfaces/lobby/evidence'), /trusted, level 0/);

    await send('/surfaces/lobby/revoke', { confirm: 'lobby', revoked: 'yes' });
    t.match(await page('/surfaces/lobby'), /lobby is revoked/);
    t.match((await client.get(`${objects}/controlsurfaces/lobby`)).body, { spec: { isRevoked: true } });
    t.match(await page('/bindings'), /lobby/);

    const refused = cluster.control.requestLog.entries.filter(({ status }) => status === 403);
    t.same(
      refused.map(({ verb, resource, user }) => `${user} ${verb} ${resource}`),
      [],
      'no right is missing',
    );
  },
);
