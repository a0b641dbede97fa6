/**
 * A fader whose readings jump: a bad contact of its wiper or its wire, or a part that answers anything. The median of five
 * hides what is short; what goes on must not become numbers of replicas. Pure: it counts samples and knows no time.
 */

/** A way there and back again that is farther than noise and wear, as a part of the full scale. */
const farBack = 0.05;
/** Samples that are looked at together, as the median looks at them. */
const windowLength = 5;
/** A hand turns round once within a window, however fast it is: from 6 samples for there and back on. */
const mostTurns = 1;
/** What a window with more turns counts; one without takes 1 off. Three of them, and the fader jumps. */
const suspicion = 4;
const mostSuspicion = 12;

/** Watches the samples of one fader. */
export class JumpWatch {
  readonly #samples: number[] = [];
  #suspicion = 0;
  #isJumping = false;

  /** Its readings are not to be believed; it is over when as many samples in a row as were counted were good ones. */
  get isJumping(): boolean {
    return this.#isJumping;
  }

  /** Takes a sample, 0..1 of the full scale. */
  push(sample: number): void {
    this.#samples.push(sample);
    if (this.#samples.length > windowLength) this.#samples.shift();
    this.#suspicion =
      this.#turns() > mostTurns
        ? Math.min(this.#suspicion + suspicion, mostSuspicion)
        : Math.max(this.#suspicion - 1, 0);
    if (this.#suspicion === mostSuspicion) this.#isJumping = true;
    else if (this.#suspicion === 0) this.#isJumping = false;
  }

  /** Begins anew. */
  reset(): void {
    this.#samples.length = 0;
    this.#suspicion = 0;
    this.#isJumping = false;
  }

  /** How often the samples of the window turn round, with a long way on both sides. */
  #turns(): number {
    const ways = this.#samples.slice(1).map((sample, index) => sample - this.#samples[index]!);
    return ways
      .slice(1)
      .filter(
        (way, index) => way * ways[index]! < 0 && Math.min(Math.abs(way), Math.abs(ways[index]!)) > farBack,
      ).length;
  }
}
