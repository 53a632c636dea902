/** Paths are matched from their end, so that any gateway prefix in front of a provider's own path changes nothing. */

/** Whether the path ends with these segments. `suffix` begins with a slash; a trailing slash of the path does not matter. */
export function endsWith(path: string, suffix: string): boolean {
  return path.endsWith(suffix) || (path.endsWith('/') && path.slice(0, -1).endsWith(suffix))
}

export function endsWithAny(path: string, suffixes: readonly string[]): boolean {
  for (const suffix of suffixes) if (endsWith(path, suffix)) return true
  return false
}

/** Percent-decoded; the text itself when it is not valid percent-encoding. */
export function decoded(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The Azure deployment that a path names, `/openai/deployments/{name}/…`, or OpenAI's engine of old. */
export function deploymentOf(path: string): string | undefined {
  const name = /\/(?:deployments|engines)\/([^/]+)\//.exec(path)?.[1]
  return name === undefined ? undefined : decoded(name)
}

/** Google's `…/models/{model}:{verb}`: also tuned models, endpoints and publishers' models. */
export function googleMethod(
  path: string,
): { readonly model: string; readonly verb: string; readonly publisher: string | undefined } | undefined {
  const plain = decoded(path)
  const found = /\/([^/:]+):([A-Za-z]+)\/?$/.exec(plain)
  if (found === null) return undefined
  const [, model, verb] = found
  if (model === undefined || verb === undefined) return undefined
  return { model, verb, publisher: /\/publishers\/([^/]+)\/models\//.exec(plain)?.[1] }
}

/** Bedrock's `/model/{id}/{verb}`; the id may be an ARN with encoded or plain slashes. */
export function bedrockMethod(path: string): { readonly model: string; readonly verb: string } | undefined {
  const found = /\/model\/(.+)\/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)\/?$/.exec(path)
  const [, model, verb] = found ?? []
  return model === undefined || verb === undefined ? undefined : { model: decoded(model), verb }
}
