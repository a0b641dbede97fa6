/** A real panel with its twin in the browser: both show the same frames, and either can be used. */
import type { Panel } from '../../../daemon/surface/types.ts';

/**
 * One panel out of two that have the same controls.
 * @param real the one on the desk; it decides whether the panel counts as open
 * @param page the one in the browser
 */
export function twinPanel(real: Panel, page: Panel): Panel {
  return {
    spec: real.spec,
    get state() {
      return real.state;
    },
    start: async (signal, emit) => {
      await Promise.all([real.start(signal, emit), page.start(signal, emit)]);
    },
    show: (frame) => {
      real.show(frame);
      page.show(frame);
    },
    stop: async () => {
      await Promise.all([real.stop(), page.stop()]);
    },
  };
}
