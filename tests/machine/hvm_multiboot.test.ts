/** What a Multiboot loader tells its kernel (Multiboot Specification 0.6.96 "Boot information format", Multiboot2 Specification
 *  "Boot information"). */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bootPc, machineTests, NEWLINE } from "../support/bare_pc";
import { multibootKernel } from "../support/nasm";

const encoder = new TextEncoder();
const test = suite("Multiboot information");
const it = machineTests(test);

const INFORMATION1 = `
  mov ebx, [info]
  mov esi, [ebx + 16]
  call puts
  ${NEWLINE}
  mov ecx, [ebx + 20]
  mov edi, [ebx + 24]
.module:
  mov esi, [edi + 8]
  call puts
  ${NEWLINE}
  mov esi, [edi]
  call puts
  ${NEWLINE}
  add edi, 16
  loop .module
  mov eax, [ebx + 4]
  call hex
  mov eax, [ebx + 8]
  call hex
  ${NEWLINE}
  mov edi, [ebx + 48]
  mov ecx, [ebx + 44]
  add ecx, edi
.entry:
  cmp dword [edi + 20], 1
  jne .skip
  mov eax, [edi + 4]
  call hex
  mov eax, [edi + 12]
  call hex
  ${NEWLINE}
.skip:
  add edi, [edi]
  add edi, 4
  cmp edi, ecx
  jb .entry`;

const INFORMATION2 = `
  mov ebx, [info]
  add ebx, 8
.tag:
  mov eax, [ebx]
  test eax, eax
  jz .end
  lea esi, [ebx + 8]
  cmp eax, 1
  je .string
  cmp eax, 3
  je .module
  cmp eax, 4
  je .basic
  cmp eax, 6
  je .map
.next:
  mov eax, [ebx + 4]
  add eax, 7
  and eax, -8
  add ebx, eax
  jmp .tag
.module:
  add esi, 8
  call puts
  ${NEWLINE}
  mov esi, [ebx + 8]
.string:
  call puts
  ${NEWLINE}
  jmp .next
.basic:
  lodsd
  call hex
  lodsd
  call hex
  ${NEWLINE}
  jmp .next
.map:
  lea edi, [ebx + 16]
  mov ecx, ebx
  add ecx, [ebx + 4]
.entry:
  cmp dword [edi + 16], 1
  jne .skip
  mov eax, [edi]
  call hex
  mov eax, [edi + 8]
  call hex
  ${NEWLINE}
.skip:
  add edi, [ebx + 8]
  cmp edi, ecx
  jb .entry
  jmp .next
.end:`;

for (const version of [1, 2] as const) {
  it(`version ${version}: command line, modules and memory map are in the boot information`, async (machine) => {
    // prints the command line and, of each module, its string and its contents up to a zero byte; then map entries of type 1
    const kernel = multibootKernel(version === 1 ? INFORMATION1 : INFORMATION2, version);
    const { text, stop } = await bootPc(machine, {
      kernel,
      cmdline: "console=com1 quick",
      ramdisk: encoder.encode("first module\0"),
      modules: [{ image: encoder.encode("second module\0"), cmdline: "two x=1" }],
    });
    assert.is(stop.status, 1, text);
    assert.equal(text.split("\n"), [
      "console=com1 quick",
      "", "first module", "two x=1", "second module",
      "0000027F 00001C00 ", // KiB below 640 KiB, KiB above 1 MiB
      "00000000 0009FC00 ", "00100000 00700000 ", "",
    ]);
  });
}

test.run();
