/**
 * The single-file program's `require`, for its main thread and its other threads: the scripts of the bundle are assets, and each is compiled when it is first
 * needed. What starts a thread adds a line that loads its script.
 */
const { posix } = require('node:path')
const { getAsset } = require('node:sea')
const { compileFunction } = require('node:vm')

const modules = new Map()

// biome-ignore lint/correctness/noUnusedVariables: the line that is added calls it.
function load(path) {
  const known = modules.get(path)
  if (known !== undefined) return known.exports
  const module = { exports: {} }
  modules.set(path, module)
  const requireFrom = (name) => (name.startsWith('.') ? load(posix.join(posix.dirname(path), name)) : require(name))
  compileFunction(getAsset(path, 'utf8'), ['exports', 'require', 'module'], { filename: path })(module.exports, requireFrom, module)
  return module.exports
}
