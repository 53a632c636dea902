/** Certificates made for these tests with openssl, valid for a hundred years; they guard nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ListenTls } from '../../src/config/certificates.ts'
import { certificate } from './certificate.ts'

/** Signs the others but `stranger`. */
export const authority = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIURYN2tBJoYfyeabrAattA0RQg4hgwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMd2VpciB0ZXN0IENBMCAXDTI2MTEyODE1MDM0OFoYDzIxMjYx
MTA0MTUwMzQ4WjAXMRUwEwYDVQQDDAx3ZWlyIHRlc3QgQ0EwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAS3p0cffKH5QUujjqyGxldJUK5KX59QJGkyTdrPTlXqVHvA
dIBiJB4N7FA2t/CeGJMZM4XfyNmc4vhnF6rG25mKo1MwUTAdBgNVHQ4EFgQU0Pcn
AeZksNGfBj5Xn2N+xLV/IhMwHwYDVR0jBBgwFoAU0PcnAeZksNGfBj5Xn2N+xLV/
IhMwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAp/r7jA2MCzWY
/XPx48lH7GLFsSI9REPCiRXzYINO5RICIFMWpzKEWpWTOafHi8Sb/u78K+0m4BI5
bm4qwj7B583T
-----END CERTIFICATE-----`,
}

/** For `weir.test`, `localhost` and 127.0.0.1, as `certificate`; its subject is `renewed.weir.test`. */
export const renewed = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBxTCCAWugAwIBAgIUeZ/C1zC9o9N8JBlj7pIBomUlb3owCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMd2VpciB0ZXN0IENBMCAXDTI2MTEyODE1MDM0OFoYDzIxMjYx
MTA0MTUwMzQ4WjAcMRowGAYDVQQDDBFyZW5ld2VkLndlaXIudGVzdDBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABCSrGQR10MMNn3fDlMeiZOQrChE0cSAXQxnEEhCk
iuLxXBzyI620FuHZRqTeO5uKjZr5tFfzes5GhU0ODTjnOPmjgY0wgYowJQYDVR0R
BB4wHIIJd2Vpci50ZXN0gglsb2NhbGhvc3SHBH8AAAEwDAYDVR0TAQH/BAIwADAT
BgNVHSUEDDAKBggrBgEFBQcDATAdBgNVHQ4EFgQUfn/t1FSnDdjkiu253VUznLDk
SKQwHwYDVR0jBBgwFoAU0PcnAeZksNGfBj5Xn2N+xLV/IhMwCgYIKoZIzj0EAwID
SAAwRQIhAJ4RF5E6K9IiYAR+KYtRRSkp6lF9dFPCIGqB1N4wIuiTAiASmuCrcSWC
EGin5nxtQohEqIlgUTgXy/RiQvfYOyITwQ==
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgflEQhA/5g3LWLVay
nME8cGINyykWYJFHe/9KuMzrJ+2hRANCAAQkqxkEddDDDZ93w5THomTkKwoRNHEg
F0MZxBIQpIri8Vwc8iOttBbh2Uak3jubio2a+bRX83rORoVNDg045zj5
-----END PRIVATE KEY-----`,
}

/** Of a client: O=Example, CN=batch-worker, with a URI, a DNS name and an e-mail address. */
export const client = {
  cert: `-----BEGIN CERTIFICATE-----
MIIB+jCCAaGgAwIBAgIUeZ/C1zC9o9N8JBlj7pIBomUlb3swCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMd2VpciB0ZXN0IENBMCAXDTI2MTEyODE1MDM0OFoYDzIxMjYx
MTA0MTUwMzQ4WjApMRAwDgYDVQQKDAdFeGFtcGxlMRUwEwYDVQQDDAxiYXRjaC13
b3JrZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASCO2+jbEuUdsbjBdhHLR2T
VyH8JWb/ParsXFO+TKriOZXIGPOFveLySswjF+SB5zHCmkI9Jr7ce073dy30pioS
o4G2MIGzME4GA1UdEQRHMEWGIXNwaWZmZTovL3dlaXIudGVzdC9ucy9tbC9zYS9i
YXRjaIIPYmF0Y2gud2Vpci50ZXN0gQ9iYXRjaEB3ZWlyLnRlc3QwDAYDVR0TAQH/
BAIwADATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4EFgQUKh+EMGdUi9jgk3OC
UcZpECs/tNIwHwYDVR0jBBgwFoAU0PcnAeZksNGfBj5Xn2N+xLV/IhMwCgYIKoZI
zj0EAwIDRwAwRAIgDLJ+Y+ZjxYwQOfwHMPcdBlIT6P9aC2DAcYzI5UM44xkCICly
5kCamaGbhOGijPpqxr2ju0cAW4uafd8NnKLsZlco
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUdLGAADqGqFYlFV6
m97kjyoRq+jCij5blCuN5oryafqhRANCAASCO2+jbEuUdsbjBdhHLR2TVyH8JWb/
ParsXFO+TKriOZXIGPOFveLySswjF+SB5zHCmkI9Jr7ce073dy30pioS
-----END PRIVATE KEY-----`,
}

/** Of a client, signed by a CA that nobody knows. */
export const stranger = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBqjCCAU+gAwIBAgIUJhOt58K23vULpDI6AX6/6b3x1rYwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIb3RoZXIgQ0EwIBcNMjYxMTI4MTUwMzQ5WhgPMjEyNjExMDQx
NTAzNDlaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE6USdS6YG7GfHoe0pF5kjIb7NKMkGbozG0Mw5DCU7MWrNyQLI/2MgZUwd
RUsyddUcPlSgjToDFBhWLaXUDsyQT6N/MH0wGAYDVR0RBBEwD4INc3RyYW5nZXIu
dGVzdDAMBgNVHRMBAf8EAjAAMBMGA1UdJQQMMAoGCCsGAQUFBwMCMB0GA1UdDgQW
BBTYXYQoCaQuNfqlvwnFZ6+EEyGa2DAfBgNVHSMEGDAWgBSsyBoaEdf8NhPOvpcM
W815TESLzzAKBggqhkjOPQQDAgNJADBGAiEA/qkqTvAgKdLJSs4JJ/gxNYceWAll
d5Zh0+NCZhCb27sCIQC2p84rzQA++s7bC0xAftgg5MyEt1i1ATTUhgIBsJNTzw==
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgF/431xaFjBbCm8cq
bApqJztJUHbRQfl+26wEXxwDD1ahRANCAATpRJ1LpgbsZ8eh7SkXmSMhvs0oyQZu
jMbQzDkMJTsxas3JAsj/YyBlTB1FSzJ11Rw+VKCNOgMUGFYtpdQOzJBP
-----END PRIVATE KEY-----`,
}

export const encryptedKey = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAixTg7ujPAtOgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDLymnkG9UHTQ/5xh/5O4/YEgZCT
9gOgb0ARAYpHzzvnjx5cIQjiOSf23WS8kx66cDmoD4ncSevt7yXLPUjUuip41+XD
POek1gx/2ijJZdLRJyR5oqnxcCsCSBXsLViZpmq4j4fCa7N0yklQ2YaATJskLc42
cUPuarEJJmbU49X77tUWAwiO9QDTpMmp/de3lM8qT9fatW6uFVCr9otuOpgfaOI=
-----END ENCRYPTED PRIVATE KEY-----`

/** Folder with the files of a listener's certificates, gone when the test is over. */
export function pemFolder(pem?: Readonly<Record<string, string>>) {
  const files = writePem(pem)
  onTestFinished(files.remove)
  return files
}

export function writePem(pem: Readonly<Record<string, string>> = { 'tls.crt': certificate.cert, 'tls.key': certificate.key }) {
  const folder = mkdtempSync(join(tmpdir(), 'tokenweir-pem-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text)
  for (const [name, text] of Object.entries(pem)) put(name, text)
  const at = (name: string) => join(folder, name)
  const tls: ListenTls = { cert: at('tls.crt'), key: at('tls.key'), clientCertificates: 'required', minVersion: '1.2', http2: true }
  return { folder, put, at, tls, remove }
}
