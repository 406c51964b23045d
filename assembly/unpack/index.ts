/** The unpacker: a small module of its own, for the control thread, that undoes what distributions pack kernels with. It works in whatever
 *  memory it is given (the machine's, so that an image is unpacked where it is needed), and keeps nothing of its own there:
 *  no static data, no stack, only the working memory (abi/unpack.ts) that every call names. It reads there and from the output
 *  so far, and writes to both, nowhere else, whatever the input. */
export { crc32, crc32Zeros, crc64, prepareChecks } from "./checks";
export { lzmaDecode, lzmaReset } from "./lzma";
export { unfilterX86 } from "./x86_filter";
