/* Entry of a bench kernel: from PVH (docs/misc/pvh.pandoc of Xen) or multiboot 1, both 32-bit flat protected mode without
   paging. Sets up its own GDT and identity paging with large pages over the first 64 MiB, open to level 3 too, then main() in
   32-bit or, built with -m64, in 64-bit mode. */
#define PAGES 64            /* MiB mapped */

        .code32
#ifndef __x86_64__
        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 0, -0x1badb002
#endif

        .section .note.Xen, "a", @note
        .balign 4
        .long 4, 4, 18      /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long start

        .text
        .globl start
start:  cli
        cld
        movl    %ebx, start_info
        lgdt    gdt_pointer
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $stack_end, %esp

        /* PTE flags: present, writable, user, large. */
#ifdef __x86_64__
        movl    $(table2 + 7), table3
        movl    $(table3 + 7), table4
        movl    $table2, %edi
        movl    $0x87, %eax
        movl    $(PAGES / 2), %ecx
1:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        loop    1b
        movl    $table4, %eax
        movl    %eax, %cr3
        movl    $0x620, %eax                    /* PAE, OSFXSR, OSXMMEXCPT */
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx               /* EFER: LME */
        rdmsr
        orl     $0x100, %eax
        wrmsr
#else
        movl    $table4, %edi
        movl    $0x87, %eax
        movl    $(PAGES / 4), %ecx
1:      movl    %eax, (%edi)
        addl    $0x400000, %eax
        addl    $4, %edi
        loop    1b
        movl    $table4, %eax
        movl    %eax, %cr3
        movl    $0x610, %eax                    /* PSE, OSFXSR, OSXMMEXCPT */
        movl    %eax, %cr4
#endif
        movl    %cr0, %eax
        andl    $~0xc, %eax                     /* EM, TS */
        orl     $0x80010022, %eax               /* PG, WP, NE, MP */
        movl    %eax, %cr0
        ljmp    $0x08, $flat

#ifdef __x86_64__
        .code64
flat:   movl    $stack_end, %esp
#else
flat:
#endif
        fninit
        call    main
1:      hlt
        jmp     1b

#ifdef __x86_64__
        .set    FLAGS, 0x00af
#else
        .set    FLAGS, 0x00cf
#endif
        /* Level 0's code and data, level 3's 32-bit code, data and 64-bit code, in the order that SYSENTER and SYSCALL want; a
           task-state segment, which a program fills in. */
        .data
        .globl  gdt
        .balign 8
gdt:    .quad   0, FLAGS << 48 | 0x9b000000ffff, 0x00cf93000000ffff
        .quad   0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff, 0, 0
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt, 0

        .bss
        .globl  start_info, table4
        .balign 4096
table4: .skip   4096                            /* page directory in 32-bit mode */
table3: .skip   4096
table2: .skip   4096
        .skip   65536
stack_end:
start_info:
        .skip   4

        .section .note.GNU-stack, "", @progbits
