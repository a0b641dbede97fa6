/**
 * Loaded into `surfaced device` before it starts: says on stderr when an intent leaves the link, as a line of JSON whose
 * `at` is on the clock that all processes share. Nothing else of the daemon is touched.
 */
import { MqttClient } from 'mqtt';
import { sharedNow } from '../processes.ts';

/** `msg` of such a line. */
export const publishedMark = 'bench: intent published';

type Publish = (this: MqttClient, topic: string, ...rest: unknown[]) => MqttClient;
const prototype = MqttClient.prototype as { publish: Publish };
const { publish } = prototype;
prototype.publish = function publishAndTell(topic, ...rest) {
  const at = sharedNow();
  const client = publish.call(this, topic, ...rest);
  // Afterwards, so that telling it takes no part in it.
  if (topic.endsWith('/up/cmd')) process.stderr.write(`${JSON.stringify({ msg: publishedMark, at })}\n`);
  return client;
};
