/** The `xenolith` program. */
import { ConfigError, DomainError, ImageError } from "../domains/errors";
import { MachineError } from "../machine/machine";
import { HELP, parseArguments, UsageError } from "./arguments";
import { run } from "./run";

const BAD_INPUT = 1;

async function main(args: readonly string[]): Promise<number> {
  const command = parseArguments(args);
  switch (command.kind) {
    case "help":
      process.stdout.write(HELP);
      return 0;
    case "version":
      process.stdout.write(`xenolith ${XENOLITH_VERSION}\n`);
      return 0;
    case "run":
      return run(command);
  }
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    const foreseen = [UsageError, ConfigError, ImageError, DomainError, MachineError].some((kind) => error instanceof kind);
    const text = foreseen ? (error as Error).message.replaceAll("\n", " ") : ((error as Error)?.stack ?? String(error));
    process.stderr.write(`xenolith: ${text}\n`);
    process.exit(BAD_INPUT);
  },
);
