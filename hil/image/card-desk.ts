/** A desk with a card of the image, whose boot partition was written to as a maker does it. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type BuiltCard, firmwareOf } from './built-card.ts';
import { Desk, type DeskOptions } from './desk.ts';

/** Of what `stat` counts. */
const blockBytes = 512;
/** Nothing tells that a file grows. */
const lookMs = 50;

/** What such a desk is made of. */
export interface CardDeskOptions extends Omit<DeskOptions, 'kernelVersion'> {
  /** Copied, and left as it is. */
  readonly card: BuiltCard;
  /** Files of the boot partition by name, beside `surfaced.yaml`. */
  readonly bootFiles: Readonly<Record<string, string>>;
}

/** The desk and its card; files of the card are for while the machine is off. */
export class CardDesk {
  readonly desk: Desk;
  /** Image file of the card in use. */
  readonly card: string;
  readonly #options: CardDeskOptions;

  private constructor(desk: Desk, card: string, options: CardDeskOptions) {
    this.desk = desk;
    this.card = card;
    this.#options = options;
  }

  /** The card is ready to be started, with the Device file that the gateway made. */
  static async lay(options: CardDeskOptions): Promise<CardDesk> {
    const { card, bootFiles, ...rest } = options;
    const desk = await Desk.make({ ...rest, kernelVersion: card.info.kernel });
    const copy = path.join(desk.site.folder, 'card');
    const binds = [card.folder, desk.site.folder];
    await options.toolbox.run('cp', ['--sparse=always', card.image, copy], { binds });
    const made = new CardDesk(desk, copy, options);
    for (const [name, text] of Object.entries({ ...bootFiles, 'surfaced.yaml': await desk.deviceFile() }))
      await made.writeBootFile(name, text);
    return made;
  }

  /** @param usbStick image of a stick that is plugged in; null: none */
  async powerOn(usbStick: string | null): Promise<void> {
    await this.desk.powerOn(this.card, usbStick);
  }

  /** Resolves when the machine has taken up so much more of the card than now, bytes: what an installation writes. */
  async untilWritten(bytes: number): Promise<void> {
    const taken = async (): Promise<number> => (await stat(this.card)).blocks * blockBytes;
    const before = await taken();
    while ((await taken()) - before < bytes) await pause(lookMs);
  }

  /** Puts a file on the boot partition, in place of one that is there. */
  async writeBootFile(name: string, text: string): Promise<void> {
    await this.#mtools(text, 'mcopy', '-o', '-i', this.#bootPartition, '-', `::/${name}`);
  }

  /** The text of a file of the boot partition. Rejects with E_IMAGE_STEP when there is none. */
  readBootFile(name: string): Promise<string> {
    return this.#mtools('', 'mcopy', '-n', '-i', this.#bootPartition, `::/${name}`, '-');
  }

  /** Names in the boot partition's first folder. */
  async bootNames(): Promise<readonly string[]> {
    const text = await this.#mtools('', 'mdir', '-b', '-i', this.#bootPartition, '::/');
    return text.split('\n').flatMap((line) => /^::\/(.+?)\/?$/.exec(line)?.[1] ?? []);
  }

  get #bootPartition(): string {
    return firmwareOf({ ...this.#options.card, image: this.card });
  }

  #mtools(input: string, command: string, ...args: readonly string[]): Promise<string> {
    return this.#options.toolbox.run(command, args, { binds: [this.desk.site.folder], input });
  }
}
