/** A part: the informer of client-node on the Pods of a namespace, as its examples use it, and how much memory it takes. */
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node';
import { settledMemory } from '../memory.ts';
import { serve } from '../processes.ts';

let known = (): number => 0;

serve({
  start: async ({ kubeconfigPath, namespace }: { kubeconfigPath: string; namespace: string }) => {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromFile(kubeconfigPath);
    const api = kubeConfig.makeApiClient(CoreV1Api);
    const informer = makeInformer(kubeConfig, `/api/v1/namespaces/${namespace}/pods`, () =>
      api.listNamespacedPod({ namespace }),
    );
    known = () => informer.list().length;
    await informer.start();
  },
  pods: () => known(),
  memory: settledMemory,
});
