/**
 * Many timers over one: ten thousand Pods each have one pending step, and closing the cluster must end all of
 * them at once. A binary heap by due time; timers of the same time run in the order in which they were set.
 */
interface Entry {
  readonly dueAt: number;
  readonly order: number;
  run: (() => void) | null;
}

/** Runs functions later, on the machine's monotonic clock. */
export class Timers {
  private readonly heap: Entry[] = [];
  private order = 0;
  private armed: NodeJS.Timeout | null = null;
  private armedFor = Number.POSITIVE_INFINITY;
  private isClosed = false;

  /** Runs `run` after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void {
    if (this.isClosed) return () => {};
    const entry: Entry = { dueAt: performance.now() + delayMs, order: this.order++, run };
    this.push(entry);
    this.arm();
    return () => {
      entry.run = null;
    };
  }

  /** Forgets every timer; later ones are never run. */
  close(): void {
    this.isClosed = true;
    this.heap.length = 0;
    if (this.armed !== null) clearTimeout(this.armed);
    this.armed = null;
  }

  private arm(): void {
    const head = this.heap[0];
    if (head === undefined || this.isClosed) return;
    if (this.armed !== null && this.armedFor <= head.dueAt) return;
    if (this.armed !== null) clearTimeout(this.armed);
    this.armedFor = head.dueAt;
    this.armed = setTimeout(() => this.fire(), Math.max(0, head.dueAt - performance.now()));
  }

  /** Runs what is due, but yields to the sockets after a while: a burst must not starve the requests. */
  private fire(): void {
    this.armed = null;
    const startedAt = performance.now();
    for (let head = this.heap[0]; head !== undefined; head = this.heap[0]) {
      const now = performance.now();
      // setTimeout may be a fraction of a millisecond early.
      if (head.dueAt > now + 0.5 || now - startedAt > 20) break;
      this.pop();
      head.run?.();
    }
    this.arm();
  }

  private push(entry: Entry): void {
    const { heap } = this;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = entry;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order);
}
