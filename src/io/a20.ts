/** The A20 gate of a PC, which two ports can open and close: whoever wrote last decides. */
export class A20Gate {
  private open = true; // firmware leaves it open

  /** `change` is told of each change. */
  constructor(private readonly change: (open: boolean) => void) {}

  get isOpen(): boolean {
    return this.open;
  }

  set(open: boolean): void {
    if (open === this.open) return;
    this.open = open;
    this.change(open);
  }
}
