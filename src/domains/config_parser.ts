/** The syntax of domain configuration files, xl.cfg(5) "SYNTAX": `key = value` lines, where a value is a number, a quoted string or a list.
 *  Knows no key; config.ts does. */
import { ConfigError } from "./errors";

export type ConfigValue = string | number | ConfigValue[];

export interface Setting {
  value: ConfigValue;
  /** Line of the key, undefined for values given otherwise (command line, API). */
  line: number | undefined;
}
export type RawConfig = Map<string, Setting>;

/** Later settings of a key replace earlier ones; `+=` appends to a string or list. */
export function parseConfig(text: string): RawConfig {
  const reader = new Reader(text);
  const raw: RawConfig = new Map();
  for (;;) {
    reader.skip(true);
    if (reader.take(";")) continue;
    if (reader.atEnd) return raw;
    const line = reader.line;
    const key = reader.word();
    if (!key) throw reader.unexpected("a key");
    reader.key = key;
    reader.skip(false);
    const append = reader.take("+=");
    if (!append && !reader.take("=")) throw reader.unexpected('"=" after the key');
    const value = reader.value();
    const before = raw.get(key);
    raw.set(key, { value: append && before ? joined(key, line, before.value, value) : value, line });
    reader.skip(false);
    if (!reader.atEnd && !reader.take(";") && !reader.take("\n")) throw reader.unexpected("the end of the line after the value");
    reader.key = "";
  }
}

/** Settings of the command line, `key=value` each: as in a file, but a value that is neither a number nor quoted is a string. */
export function applyOverrides(raw: RawConfig, overrides: readonly string[]): RawConfig {
  const merged = new Map(raw);
  for (const text of overrides) {
    const [, key, rest] = /^\s*([A-Za-z_][\w-]*)\s*=\s*(.*)$/s.exec(text) ?? [];
    if (key === undefined) throw new ConfigError("", `"${text}" is not of the form key=value.`);
    for (const [name, value] of overriding(key, rest, text)) merged.set(name, { value, line: undefined });
  }
  return merged;
}

function overriding(key: string, rest: string, text: string): [string, ConfigValue][] {
  try {
    return [...parseConfig(text)].map(([name, { value }]) => [name, value]);
  } catch (error) {
    if (/^['"[]/.test(rest)) throw error;
    return [[key, rest]];
  }
}

function joined(key: string, line: number, before: ConfigValue, value: ConfigValue): ConfigValue {
  if (typeof before === "string" && typeof value === "string") return before + value;
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value];
  throw new ConfigError(key, '"+=" joins two strings or two lists.', line);
}

const ESCAPES: Record<string, string> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

class Reader {
  private at = 0;
  line = 1;
  /** For messages. */
  key = "";
  constructor(private readonly text: string) {}

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Skips blanks, comments and, if asked, line ends. A backslash joins lines. */
  skip(lines: boolean): void {
    for (;;) {
      const rest = /[ \t\r]*(#[^\n]*)?(\\\n)?/y;
      rest.lastIndex = this.at;
      const found = rest.exec(this.text)![0];
      this.advance(found);
      if (found === "" && !(lines && this.take("\n"))) return;
    }
  }

  take(token: string): boolean {
    if (!this.text.startsWith(token, this.at)) return false;
    this.advance(token);
    return true;
  }

  word(): string {
    const found = /[A-Za-z_][A-Za-z0-9_-]*/y;
    found.lastIndex = this.at;
    const text = found.exec(this.text)?.[0] ?? "";
    this.advance(text);
    return text;
  }

  value(depth = 0): ConfigValue {
    this.skip(depth > 0);
    if (this.take("[")) {
      if (depth >= 8) throw this.error("lists are nested too deeply");
      return this.list(depth + 1);
    }
    const quote = this.text[this.at];
    if (quote === '"' || quote === "'") return this.string(quote);
    const found = /-?(0[xX][0-9a-fA-F]+|[0-9]+)(?![\w.])/y;
    found.lastIndex = this.at;
    const digits = found.exec(this.text)?.[0];
    if (digits === undefined) throw this.unexpected("a number, a quoted string or a list");
    this.advance(digits);
    const magnitude = Number(digits.replace("-", ""));
    if (!Number.isSafeInteger(magnitude)) throw this.error(`${digits} is too large`);
    return digits.startsWith("-") ? -magnitude : magnitude;
  }

  private list(depth: number): ConfigValue[] {
    const items: ConfigValue[] = [];
    for (;;) {
      this.skip(true);
      if (this.take("]")) return items;
      if (this.atEnd) throw this.error('the list lacks its "]"');
      items.push(this.value(depth));
      this.skip(true);
      if (!this.take(",") && this.text[this.at] !== "]") throw this.unexpected('"," or "]"');
    }
  }

  private string(quote: string): string {
    let value = "";
    for (let at = this.at + 1; ; at++) {
      const char = this.text[at];
      if (char === undefined || char === "\n") throw this.error("the string lacks its closing quote");
      if (char === quote) {
        this.at = at + 1;
        return value;
      }
      if (char !== "\\") {
        value += char;
        continue;
      }
      const code = /x([0-9a-fA-F]{1,2})|([0-7]{1,3})/y;
      code.lastIndex = at + 1;
      const [whole, hex, octal] = code.exec(this.text) ?? [];
      const next = this.text[at + 1];
      if (whole) value += String.fromCharCode(hex ? Number.parseInt(hex, 16) : Number.parseInt(octal, 8) & 0xff);
      else if (next === undefined || next === "\n") throw this.error("the string lacks its closing quote");
      else value += ESCAPES[next] ?? next;
      at += whole?.length ?? 1;
    }
  }

  unexpected(wanted: string): ConfigError {
    const found = this.atEnd ? "the end of the text" : this.text[this.at] === "\n" ? "the end of the line" : `"${this.text[this.at]}"`;
    return this.error(`${wanted} is expected, not ${found}`);
  }

  private error(message: string): ConfigError {
    return new ConfigError(this.key, `${message}.`, this.line);
  }

  private advance(text: string): void {
    this.at += text.length;
    for (const char of text) if (char === "\n") this.line++;
  }
}
