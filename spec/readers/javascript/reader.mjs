// SPDX-License-Identifier: MIT OR Apache-2.0
// The command of CONFORMANCE.md:  node reader.mjs [--repeat N] FILE

import fs from "node:fs";
import { Contended, Image, Refused, document } from "./mmstats.mjs";

const words = process.argv.slice(2);
const times = words[0] === "--repeat" ? Number(words[1]) : 1;
try {
  const image = Image.open(words.at(-1));
  for (let n = 0; n < times; n++) {
    fs.writeSync(1, JSON.stringify(document(image)) + "\n");
  }
} catch (error) {
  if (error instanceof Refused) {
    fs.writeSync(1, JSON.stringify({ refused: error.code }) + "\n");
    process.exitCode = 1;
  } else {
    console.error(error.message);
    process.exitCode = error instanceof Contended ? 2 : 3;
  }
}
