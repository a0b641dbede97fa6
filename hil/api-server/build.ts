/** Builds the API servers from Debian's sources, once; README.md says what each is for. */
import { cp, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { keptFolder, keyOf } from '../../image/toolbox/cache.ts';
import { runCommand, say } from '../../image/toolbox/command.ts';
import { openSources, type Sources } from './sources.ts';

/** Raised when the steps below change in a way that changes what is built. */
const recipe = '1';
const policyProgram = fileURLToPath(new URL('policy/main.go', import.meta.url));
const generated = 'pkg/generated/openapi';
const reflect2 = 'github.com/modern-go/reflect2';

/** Paths of the programs. */
export interface Programs {
  readonly etcd: string;
  /** kube-apiserver 1.20.2. */
  readonly core: string;
  /** apiextensions-apiserver of Debian sid. */
  readonly extensions: string;
  readonly policy: string;
}

/** One Go toolchain with one tree of packages, as Go had them before modules: that is how Debian packages them. */
function goIn(options: {
  readonly release: string;
  readonly tools: string;
  readonly tree: string;
  readonly cache: string;
}) {
  const root = path.join(options.tools, `usr/lib/go-${options.release}`);
  const env = {
    PATH: `${path.join(root, 'bin')}:${process.env.PATH ?? ''}`,
    HOME: options.cache,
    GOROOT: root,
    GOPATH: options.tree,
    GOCACHE: path.join(options.cache, `go-${options.release}`),
    GO111MODULE: 'off',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
  };
  const run = (title: string, command: string, cwd: string): Promise<string> =>
    // `cd -L`: Go finds out by the name of the folder what package it is in, and that is a link.
    runCommand(title, ['sh', '-euc', `cd -L '${cwd}'; ${command}`], { input: null, env, cwd });
  return {
    run,
    build: (what: string, output: string, cwd: string): Promise<string> =>
      run(`go build ${path.basename(what)}`, `exec nice -n 15 go build -p 2 -o '${output}' '${what}'`, cwd),
  };
}

async function buildCore(sources: Sources, work: string, output: string): Promise<void> {
  const tree = path.join(work, 'core');
  const kubernetes = path.join(tree, 'src/k8s.io/kubernetes');
  const tools = path.join(work, 'go-1.19');
  await sources.source('kubernetes', 'bookworm', path.join(work, 'kubernetes'));
  await sources.unpack(['golang-1.19-go', 'golang-1.19-src'], 'bookworm', tools);
  await mkdir(path.dirname(kubernetes), { recursive: true });
  await symlink(path.join(work, 'kubernetes'), kubernetes);
  const newer = path.join(work, 'reflect2');
  await sources.unpack(['golang-github-modern-go-reflect2-dev'], 'bookworm', newer);
  const vendored = path.join(work, 'kubernetes/vendor', reflect2);
  await rm(vendored, { recursive: true });
  await cp(path.join(newer, 'usr/share/gocode/src', reflect2), vendored, {
    recursive: true,
    filter: (file) => !file.endsWith('_test.go'),
  });
  const go = goIn({ release: '1.19', tools, tree, cache: work });
  const generator = path.join(work, 'openapi-gen');
  await go.build('k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen', generator, kubernetes);
  // The same folders as Kubernetes' own Makefile.generated_files gives to the generator.
  const folders = `$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg staging/src/k8s.io \
    | grep -v -e code-generator/ -e sample-apiserver/ -e _test.go | xargs -n1 dirname \
    | sed -e 's#^staging/src/#k8s.io/kubernetes/vendor/#' -e 's#^pkg#k8s.io/kubernetes/pkg#' \
    | LC_ALL=C sort -u | paste -sd,)`;
  await go.run(
    'openapi-gen',
    `nice -n 15 '${generator}' --logtostderr -i "${folders}" -p k8s.io/kubernetes/${generated} -O zz_generated.openapi \
      -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r '${path.join(work, 'violations')}' -o '${tree}/src'`,
    kubernetes,
  );
  await go.build('k8s.io/kubernetes/cmd/kube-apiserver', output, kubernetes);
}

async function buildNew(
  sources: Sources,
  work: string,
  outputs: Pick<Programs, 'extensions' | 'policy'>,
): Promise<void> {
  const tools = path.join(work, 'go-new');
  const packages = path.join(work, 'packages');
  const wanted = ['golang-k8s-apiextensions-apiserver-dev', 'golang-k8s-apiserver-dev'];
  const all = await sources.closure([...wanted, 'golang-go'], 'sid');
  const compiler = all.find((name) => /^golang-1\.\d+-go$/.test(name)) ?? '';
  const release = /1\.\d+/.exec(compiler)?.[0] ?? '';
  await sources.unpack([compiler, `golang-${release}-src`], 'sid', tools);
  const libraries = all.filter(
    (name) => /^(?:golang-.*|gogoprotobuf)$/.test(name) && !/^golang-(?:1\.|go$|src$|any$)/.test(name),
  );
  await sources.unpack(libraries, 'sid', packages);
  const tree = path.join(packages, 'usr/share/gocode');
  const go = goIn({ release, tools, tree, cache: work });
  const place = path.join(tree, 'src/k8s.io/apiextensions-apiserver');
  await go.build('k8s.io/apiextensions-apiserver', outputs.extensions, place);
  await go.build(policyProgram, outputs.policy, place);
}

/** The programs, built when they are not in the cache. Rejects with E_IMAGE_STEP when a step fails. */
export async function ensurePrograms(): Promise<Programs> {
  const key = keyOf([recipe, await readFile(policyProgram)]);
  const folder = await keptFolder(`apiserver-${key}`, async (made) => {
    const work = path.join(made, 'work');
    await mkdir(work);
    say('getting the sources of the API servers from Debian (300 MB)');
    const sources = await openSources(path.join(work, 'apt'));
    await sources.unpack(['etcd-server'], 'trixie', path.join(work, 'etcd'));
    await cp(path.join(work, 'etcd/usr/bin/etcd'), path.join(made, 'etcd'));
    say('building apiextensions-apiserver and the policy plug-in of Debian sid (some ten minutes)');
    const at = (name: string): string => path.join(made, name);
    await buildNew(sources, work, { extensions: at('apiextensions-apiserver'), policy: at('policy') });
    say('building kube-apiserver 1.20.2 (some ten minutes)');
    await buildCore(sources, work, at('kube-apiserver'));
    // What Go unpacks may be read-only, which root does not mind.
    await rm(work, { recursive: true, force: true });
  });
  const at = (name: string): string => path.join(folder, name);
  return {
    etcd: at('etcd'),
    core: at('kube-apiserver'),
    extensions: at('apiextensions-apiserver'),
    policy: at('policy'),
  };
}
