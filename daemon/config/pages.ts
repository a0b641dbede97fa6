/** The field of the Gateway file about its pages. */
import { z } from 'zod';
import { kubeName, listen, unixPath } from './fields.ts';

const claim = z.string().min(1).max(128);

/** Log-in by an OpenID Connect provider. */
const oidcSchema = z
  .strictObject({
    issuer: z
      .url({ protocol: /^https$/ })
      .describe('Issuer, as its discovery document names it, e.g. https://login.example.'),
    clientId: z.string().min(1).max(256).describe('Client of the pages at the provider.'),
    clientSecretFile: unixPath
      .optional()
      .describe('File that holds the secret of the client; left out: a public client, PKCE alone.'),
    caFile: unixPath
      .optional()
      .describe('File with the CA certificates (PEM) of the provider; left out: those that Node knows.'),
    scopes: z
      .array(z.string().regex(/^[!#-[\]-~]{1,128}$/, 'a scope without blanks'))
      .max(20)
      .default(['openid', 'profile', 'groups'])
      .describe('Scopes that are asked for; `openid` must be one.'),
    usernameClaim: claim.default('sub').describe('Claim with the user name, as the API server is told it.'),
    usernamePrefix: z
      .string()
      .max(128)
      .describe(
        "Put before the name: that of the API server's own OIDC settings, or one that no other user has.",
      ),
    groupsClaim: claim.default('groups').describe('Claim with the groups.'),
    groupsPrefix: z.string().max(128).default('').describe('Put before each group.'),
  })
  .refine(({ scopes }) => scopes.includes('openid'), { path: ['scopes'], message: '`openid` is missing' })
  .optional()
  .describe('Log-in by OpenID Connect; left out: not offered.');

/** Pages for operators. */
export const pagesSchema = z
  .strictObject({
    listen: listen.default('0.0.0.0:9444'),
    url: z
      .url({ protocol: /^https$/ })
      .regex(/^https:\/\/[^/?#@]+\/?$/, 'https://host[:port], without a path')
      .optional()
      .describe(
        'Address that browsers have it by, and no other; left out: the first of `hosts` and the port.',
      ),
    hosts: z
      .array(z.string().min(1).max(253))
      .min(1)
      .max(16)
      .default(['localhost', '127.0.0.1'])
      .describe('Names in the certificate that the CA of the gateway makes; without `certificate`.'),
    certificate: unixPath
      .optional()
      .describe('File with a certificate and its chain (PEM), read at start; left out: of the gateway.'),
    key: unixPath.optional().describe('File with the key of `certificate` (PEM).'),
    namespace: kubeName
      .default('surfaced')
      .describe('Rights are asked for in this namespace; a registry in the cluster has its own.'),
    login: z
      .strictObject({
        tokens: z
          .strictObject({
            audience: z
              .string()
              .min(1)
              .max(256)
              .optional()
              .describe('Tokens must be for this audience; left out: for the API server itself.'),
          })
          .optional()
          .describe('Log-in by a Kubernetes token, asked for by TokenReview; left out: not offered.'),
        oidc: oidcSchema,
      })
      .refine(({ tokens, oidc }) => tokens !== undefined || oidc !== undefined, {
        message: 'give at least one of tokens and oidc',
      })
      .describe('How people log in; what they may do is decided by SubjectAccessReview.'),
    idleMinutes: z
      .int()
      .min(1)
      .max(1440)
      .default(30)
      .describe('A session that opens no page for so long ends, minutes.'),
    longestHours: z.int().min(1).max(168).default(8).describe('A session ends after so long, hours.'),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    path: ['key'],
    message: 'certificate and key belong together',
  })
  .optional()
  .describe('Web pages for operators, with log-in; left out: off. docs/pages.md.');
