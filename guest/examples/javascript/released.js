// What `npm run build` builds: the policy, whose console does nothing.

import "./console.js";

export * from "./policy.js";
