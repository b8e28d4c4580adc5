// What `npm run dev` builds: the policy, whose console tells `innkeeper test`, `check`, `explain` and
// `dev` what is printed. `wit/development.wit` has its world.

import { say } from "innkeeper:policy/development@0.1.0";

import { shown, speakBy } from "./console.js";

speakBy((...values) => say(shown(values)));

export * from "./policy.js";
