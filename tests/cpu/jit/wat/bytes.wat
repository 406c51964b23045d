 (func $0 (result i32)
  (local $0 i64)
  (local $1 i64)
  (local $2 i64)
  (local $3 i64)
  (local $4 i64)
  (local $5 i64)
  (local $6 i64)
  (local $7 i64)
  (local $8 i64)
  (local $9 i64)
  (local $10 i64)
  (local $11 i64)
  (local $12 i64)
  (local $13 i64)
  (local $14 i64)
  (local $15 i64)
  (local $16 i64)
  (local $17 i64)
  (local $18 i64)
  (local $19 i64)
  (local $20 i64)
  (local $21 i64)
  (local $22 i64)
  (local $23 i64)
  (local $24 i64)
  (local $25 i64)
  (local $26 i32)
  (local $27 i32)
  (local $28 i32)
  (local $29 i32)
  (local $30 i32)
  (local $31 i32)
  (local $32 i32)
  (local $33 i32)
  (local $34 i32)
  (local $35 i64)
  (local $36 i64)
  (local $37 i32)
  (local $scratch i64)
  (local $scratch_39 i64)
  (local $scratch_40 i64)
  (local.set $27
   (i32.load offset=pcpu+0x1018 align=1
    (i32.const 0)
   )
  )
  (local.set $26
   (i32.const 64)
  )
  (local.set $25
   (i64.const 256)
  )
  (i32.store offset=pcpu+0x1018 align=1
   (i32.const 0)
   (i32.const 0)
  )
  (block $block2
   (block $block
    (local.set $27
     (i32.sub
      (local.get $27)
      (i32.const 4)
     )
    )
    (local.set $0
     (i64.load offset=pcpu+0x0 align=1
      (i32.const 0)
     )
    )
    (local.set $1
     (i64.load offset=pcpu+0x8 align=1
      (i32.const 0)
     )
    )
    (local.set $0
     (block (result i64)
      (local.set $scratch_40
       (i64.or
        (i64.and
         (local.tee $35
          (i64.or
           (i64.and
            (local.get $0)
            (i64.const -256)
           )
           (i64.extend_i32_u
            (i32.and
             (i32.wrap_i64
              (local.get $1)
             )
             (i32.const 255)
            )
           )
          )
         )
         (i64.const -65281)
        )
        (i64.shl
         (i64.extend_i32_u
          (i32.and
           (local.tee $34
            (i32.add
             (i32.extend8_s
              (i32.wrap_i64
               (local.tee $36
                (i64.shr_u
                 (local.get $35)
                 (i64.const 8)
                )
               )
              )
             )
             (i32.extend8_s
              (i32.wrap_i64
               (local.get $35)
              )
             )
            )
           )
           (i32.const 255)
          )
         )
         (i64.const 8)
        )
       )
      )
      (local.set $23
       (block (result i64)
        (local.set $scratch_39
         (i64.extend_i32_u
          (i32.wrap_i64
           (local.get $36)
          )
         )
        )
        (local.set $24
         (block (result i64)
          (local.set $scratch
           (i64.extend_i32_u
            (i32.wrap_i64
             (local.get $35)
            )
           )
          )
          (local.set $26
           (i32.const 4097)
          )
          (local.get $scratch)
         )
        )
        (local.get $scratch_39)
       )
      )
      (local.get $scratch_40)
     )
    )
    (local.set $7
     (i64.load offset=pcpu+0x38 align=1
      (i32.const 0)
     )
    )
    (block $block1
     (local.set $31
      (i32.wrap_i64
       (local.tee $35
        (local.get $7)
       )
      )
     )
     (local.set $37
      (i32.wrap_i64
       (local.tee $36
        (i64.sub
         (local.get $35)
         (i64.const 2097152)
        )
       )
      )
     )
     (i32.store16 offset=124809216 align=1
      (@metadata.code.branch_hint "\01")
      (if (result i32)
       (i64.le_u
        (local.get $36)
        (i64.const 2097150)
       )
       (then
        (local.get $37)
       )
       (else
        (@metadata.code.branch_hint "\00")
        (if
         (i32.eqz
          (local.tee $34
           (call_indirect (type $3)
            (local.get $35)
            (i32.const 2)
            (i32.const record+10|run)
            (i32.const 1)
           )
          )
         )
         (then
          (i64.store offset=pcpu+0x0 align=1
           (i32.const 0)
           (local.get $0)
          )
          (br $block)
         )
        )
        (i32.store16 align=1
         (local.get $34)
         (i32.wrap_i64
          (local.get $0)
         )
        )
        (@metadata.code.branch_hint "\00")
        (if
         (i32.load offset=pcpu+0xcad50 align=1
          (i32.const 0)
         )
         (then
          (@metadata.code.branch_hint "\00")
          (if
           (call_indirect (type $0)
            (local.get $34)
            (i32.const 2)
           )
           (then
            (local.set $29
             (i32.const record+11)
            )
            (i64.store offset=pcpu+0x0 align=1
             (i32.const 0)
             (local.get $0)
            )
            (br $block)
           )
          )
         )
        )
        (br $block1)
       )
      )
      (i32.wrap_i64
       (local.get $0)
      )
     )
    )
    (i64.store offset=pcpu+0x0 align=1
     (i32.const 0)
     (local.get $0)
    )
    (i64.store offset=pcpu+0xd8 align=1
     (i32.const 0)
     (i64.extend8_s
      (i64.add
       (local.get $23)
       (local.get $24)
      )
     )
    )
    (i64.store offset=pcpu+0xe0 align=1
     (i32.const 0)
     (i64.extend8_s
      (local.get $23)
     )
    )
    (i64.store offset=pcpu+0xe8 align=1
     (i32.const 0)
     (i64.extend8_s
      (local.get $24)
     )
    )
    (i32.store offset=pcpu+0xd0 align=1
     (i32.const 0)
     (i32.const 1)
    )
    (local.set $26
     (i32.const 64)
    )
    (i32.store offset=pcpu+0x1018 align=1
     (i32.const 0)
     (local.get $27)
    )
    (if
     (i32.ne
      (local.get $26)
      (i32.const 64)
     )
     (then
      (call_indirect (type $1)
       (local.get $26)
       (local.get $22)
       (local.get $23)
       (local.get $24)
       (local.get $25)
       (i32.const 7)
      )
     )
    )
    (@metadata.code.branch_hint "\00")
    (if
     (i32.or
      (i32.or
       (i32.ne
        (local.tee $32
         (call_indirect (type $0)
          (i32.const record+11)
          (i32.const 3)
         )
        )
        (block (result i32)
         (local.set $27
          (i32.load offset=pcpu+0x1018 align=1
           (i32.const 0)
          )
         )
         (local.set $26
          (i32.const 64)
         )
         (local.set $25
          (i64.const 256)
         )
         (i32.const record+12)
        )
       )
       (i32.load offset=pcpu+0xc3000 align=1
        (i32.const 0)
       )
      )
      (i32.le_s
       (local.get $27)
       (i32.const 0)
      )
     )
     (then
      (local.set $29
       (local.get $32)
      )
      (br $block2)
     )
    )
    (i32.store offset=pcpu+0x1018 align=1
     (i32.const 0)
     (i32.const 0)
    )
    (local.set $29
     (i32.const record+12|taken)
    )
    (br $block)
   )
   (i32.store offset=pcpu+0x1018 align=1
    (i32.const 0)
    (local.get $27)
   )
   (if
    (i32.ne
     (local.get $26)
     (i32.const 64)
    )
    (then
     (call_indirect (type $1)
      (local.get $26)
      (local.get $22)
      (local.get $23)
      (local.get $24)
      (local.get $25)
      (i32.const 7)
     )
    )
   )
  )
  (local.get $29)
 )
)
