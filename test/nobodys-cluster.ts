/** A cluster for gateways whose tests are about something else. */

/** Nobody listens there: the gateway retries for ever, and a surface that is connected is stale. */
export const nobodysKubeconfig = `apiVersion: v1
kind: Config
current-context: a
contexts: [{ name: a, context: { cluster: a, user: a } }]
clusters: [{ name: a, cluster: { server: 'https://127.0.0.1:1' } }]
users: [{ name: a, user: { token: x } }]
`;
