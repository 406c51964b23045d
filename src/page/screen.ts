/** A screen of text: enough of a terminal for boot messages and a shell. Carriage return, newline, backspace and tab move
 *  the cursor; of escape sequences (ECMA-48) cursor movement and erasing are obeyed, colours are dropped. */
const TAB = 8;
const LINES_KEPT = 2000;

export class Screen {
  private readonly lines: string[][] = [[]];
  private row = 0;
  private column = 0;
  /** First line of the window that cursor addresses count from. */
  private get top(): number {
    return Math.max(0, this.lines.length - this.rows);
  }
  private escape = "";
  private readonly decoder = new TextDecoder();

  constructor(
    readonly columns = 80,
    readonly rows = 24,
  ) {}

  write(bytes: Uint8Array): void {
    for (const char of this.decoder.decode(bytes, { stream: true })) this.put(char);
  }

  get text(): string {
    return this.lines.map((line) => line.join("").trimEnd()).join("\n");
  }

  get cursor(): { row: number; column: number } {
    return { row: this.row, column: this.column };
  }

  private put(char: string): void {
    if (this.escape !== "") this.inEscape(char);
    else if (char >= " " && char !== "\x7f") {
      if (this.column >= this.columns) {
        this.column = 0;
        this.down();
      }
      const line = this.lines[this.row];
      while (line.length < this.column) line.push(" ");
      line[this.column++] = char;
    } else if (char === "\n") this.down();
    else if (char === "\r") this.column = 0;
    else if (char === "\b") this.column = Math.max(0, this.column - 1);
    else if (char === "\t") this.column = Math.min(this.columns - 1, (Math.floor(this.column / TAB) + 1) * TAB);
    else if (char === "\x1b") this.escape = char;
  }

  private inEscape(char: string): void {
    this.escape += char;
    const sequence = this.escape;
    if (sequence.length === 2) {
      if (char === "[" || char === "]" || char === "(" || char === ")") return;
      this.escape = "";
    } else if (sequence[1] === "[") {
      if (char < "@" || char > "~") {
        if (sequence.length > 32) this.escape = "";
        return;
      }
      this.escape = "";
      this.control(sequence.slice(2, -1), char);
    } else if (sequence[1] === "]") {
      if (char === "\x07" || sequence.endsWith("\x1b\\") || sequence.length > 256) this.escape = "";
    } else this.escape = ""; // character sets
  }

  private control(parameters: string, final: string): void {
    const numbers = parameters.split(";").map((text) => Number.parseInt(text, 10) || 0);
    const count = Math.max(1, numbers[0]);
    if (final === "A") this.row = Math.max(this.top, this.row - count);
    else if (final === "B") this.moveTo(this.row - this.top + count, this.column);
    else if (final === "C") this.column = Math.min(this.columns - 1, this.column + count);
    else if (final === "D") this.column = Math.max(0, this.column - count);
    else if (final === "G") this.column = Math.min(this.columns, count) - 1;
    else if (final === "H" || final === "f") this.moveTo(count - 1, Math.max(1, numbers[1] ?? 1) - 1);
    else if (final === "J") this.eraseScreen(numbers[0]);
    else if (final === "K") this.eraseLine(numbers[0]);
  }

  private moveTo(row: number, column: number): void {
    const target = this.top + Math.min(this.rows - 1, row);
    while (this.lines.length <= target) this.lines.push([]);
    this.row = target;
    this.column = Math.min(this.columns - 1, column);
  }

  private eraseScreen(what: number): void {
    if (what === 0) {
      this.eraseLine(0);
      this.lines.length = this.row + 1;
    } else for (let row = this.top; row < this.lines.length; row++) if (what >= 2 || row < this.row) this.lines[row] = [];
  }

  private eraseLine(what: number): void {
    const line = this.lines[this.row];
    if (what === 0) line.length = Math.min(line.length, this.column);
    else if (what === 1) line.fill(" ", 0, this.column + 1);
    else line.length = 0;
  }

  private down(): void {
    this.row++;
    if (this.row === this.lines.length) this.lines.push([]);
    if (this.lines.length > LINES_KEPT) {
      this.lines.shift();
      this.row--;
    }
  }
}

/** What a key sends, as a terminal would; null if it sends nothing. */
export function keyBytes(event: { key: string; ctrlKey: boolean; altKey: boolean; metaKey: boolean }): string | null {
  const { key } = event;
  const named = KEYS[key];
  if (named !== undefined) return named;
  if (key.length !== 1 || event.metaKey) return null;
  const code = key.toUpperCase().charCodeAt(0);
  if (event.ctrlKey) return code >= 0x40 && code < 0x60 ? String.fromCharCode(code & 0x1f) : null;
  return event.altKey ? `\x1b${key}` : key;
}

const KEYS: Readonly<Record<string, string>> = {
  Enter: "\r",
  Backspace: "\x7f",
  Tab: "\t",
  Escape: "\x1b",
  ArrowUp: "\x1b[A",
  ArrowDown: "\x1b[B",
  ArrowRight: "\x1b[C",
  ArrowLeft: "\x1b[D",
  Home: "\x1b[H",
  End: "\x1b[F",
  Delete: "\x1b[3~",
  PageUp: "\x1b[5~",
  PageDown: "\x1b[6~",
};
