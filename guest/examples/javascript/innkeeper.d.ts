// Types of the contract (`wit/policy.wit`), and of `innkeeper.js`.

/** A header field of a request, its name in lower case, or of a response. */
export interface Field {
  name: string;
  value: Uint8Array;
}

/** One request. */
export interface Request {
  /** The request line, such as `GET /a?b HTTP/1.1`. */
  line: Uint8Array;
  /** The fields and facts that `interests` named. */
  fields: Field[];
}

/** An index page, or a file. */
export type Page = { tag: "index"; val: string } | { tag: "file"; val: string };

/** One thing that the host may do. */
export interface Candidate {
  page: Page;
  status: number;
  location?: string;
  fields: Field[];
}

/** Send the client elsewhere. */
export interface Redirect {
  status: number;
  location: string;
  fields: Field[];
}

/** How to respond to a request. */
export type Decision =
  | Page
  | { tag: "serve"; val: { candidates: Candidate[]; otherwise?: Redirect; fields: Field[] } }
  | { tag: "not-found" }
  | { tag: "redirect"; val: Redirect }
  | { tag: "reply"; val: { status: number; fields: Field[]; body: Uint8Array } };

/** What a guest exports as `policy`. */
export interface Policy {
  interests(): string[];
  decide(request: Request): Decision;
}

/** What a guest that has data exports as `configuration`, too. It throws a text to refuse it. */
export interface Configuration {
  configure(data: Uint8Array): void;
}

export function field(fields: Field[], name: string): string | undefined;
export function cookie(fields: Field[], name: string): string | undefined;
export function parameters(query: string): [name: string, value: string][];
export function parameter(query: string, name: string): string | undefined;
export function basicAuth(fields: Field[]): { user: string; password: string } | undefined;
export function isSameSecret(one: string, other: string): boolean;

export function index(path: string): Page;
export function file(path: string): Page;
export function page(path: string): Page;
export function notFound(): Decision;
export function redirect(status: 301 | 302 | 303 | 307 | 308, location: string): Decision;
export function firstOf(candidates: Candidate[], otherwise?: Redirect): Decision;
export function candidate(page: Page, status?: number, fields?: Record<string, string>): Candidate;
export function reply(status: number, body: string, type?: string): Decision;
export function text(status: number, body: string): Decision;
export function html(status: number, body: string): Decision;
export function json(status: number, value: unknown): Decision;
export function withField(decision: Decision, name: string, value: string): Decision;

export function toBytes(text: string): Uint8Array;
export function toText(bytes: Uint8Array): string;
