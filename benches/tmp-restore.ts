import { BlockStore } from '/tmp/wt/store/ts/directory/store.js'
import { Directory } from '/tmp/wt/store/ts/directory/directory.js'
import { Referrers } from '/tmp/wt/store/ts/service/referrers.js'
import { randomBytes } from 'node:crypto'
const N = Number(process.env.N ?? 1e6)
const rows: {key:Uint8Array,value:Uint8Array}[] = []
let parent = randomBytes(32)
for (let i=0;i<N;i++){ const v=Buffer.alloc(2*32+30+256); const key=randomBytes(32); key.copy(v,0); if(i%64===0) parent=randomBytes(32); parent.copy(v,32); parent=key; v.writeUInt32LE(i,64); v.writeUInt32LE(i%64,68); v.writeDoubleLE(1e12+i,84); v.writeUInt16LE(64,92); for(let j=0;j<64;j++) v.writeUInt32LE((i*31+j*17)%150000,94+4*j); const k=Buffer.alloc(5); k.write('s'); k.writeUInt32BE(i,1); rows.push({key:k,value:v}) }
rows.unshift({key:Buffer.from('meta'),value:Buffer.from('f')})
const table={ *entries(){ yield* rows }, put(){}, remove(){} }
const d=new Directory({hbm:1,dram:1,ssd:N})
let t=performance.now()
console.log(new BlockStore(table).restore(d,'f'), performance.now()-t, process.memoryUsage().rss/1e6)
