/** What a probe found; `detail` says what is there, or what is missing and what would bring it. */
export interface Finding {
  available: boolean;
  detail: string;
}
