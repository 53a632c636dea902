/** The configuration as the rest of the program sees it. Reading and validating it is this file's job; see `docs/configuration.md`. */

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Route {
  /** A metric label and ledger value: short, stable. The route that needs no file is `default`. */
  readonly name: string
  /** Path prefix, matched at a `/` boundary; the longest prefix wins. `/` matches everything. */
  readonly prefix: string
  /** Take the prefix away before the upstream's base path is put in front. */
  readonly stripPrefix: boolean
  /** http or https, host (IPv6 in brackets), optional port and base path. No credentials, no query. */
  readonly upstream: URL
  /** Overrides every other attribution rule. */
  readonly provider: string | undefined
  /** `upstream`: the upstream's host and port (default). `client`: what the client sent. Otherwise that text. */
  readonly host: 'upstream' | 'client' | { readonly literal: string }
}

export interface Config {
  readonly listen: Address
  readonly admin: Address
  /** Path of the SQLite file. */
  readonly ledger: string
  readonly capture: 'observe' | 'inject'
  readonly semconv: '1.41' | 'genai'
  readonly routes: readonly Route[]
  /** All in milliseconds; 0 means without limit. */
  readonly timeouts: {
    readonly connectMs: number
    /** From the request sent to the response head. */
    readonly headMs: number
    /** Between two chunks of a response body. */
    readonly idleMs: number
    /** SIGTERM: how long open exchanges may go on. */
    readonly graceMs: number
    /** After the grace: how long the recorder may take to write and export. */
    readonly flushMs: number
  }
  readonly limits: {
    /** Bytes of a request or response body that observation keeps for reading; longer bodies are noted `limit_hit`. */
    readonly bodyBytes: number
    /** Bytes of one streamed message. */
    readonly messageBytes: number
    /** Bytes of a request's header section; more is answered 431. */
    readonly headerBytes: number
    /** Distinct values of a metric label such as the model; more become `other`. */
    readonly labelValues: number
  }
}
