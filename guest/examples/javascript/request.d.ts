// Types of `request.js`.

/** The path below the site's root, decoded, and the query; or why there is none. */
export type Target =
  | { path: string; query: string; fault?: undefined }
  | { fault: "malformed"; path?: undefined; query?: undefined }
  | { fault: "nothing"; path?: undefined; query?: undefined };

export function siteTarget(line: Uint8Array): Target;
