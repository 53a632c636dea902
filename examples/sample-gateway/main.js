/** Starts main.ts on a Node that can run it: Node 20 cannot, and says nothing that helps. */
import { run } from '../../bin/on-node.js'

run(new URL('main.ts', import.meta.url))
