/** Numbers on the command line. */
import { InvalidArgumentError } from "commander";

/** A whole number from 1 on. @throws InvalidArgumentError */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < 1) throw new InvalidArgumentError("It has to be a whole number from 1 on.");
  return value;
}
