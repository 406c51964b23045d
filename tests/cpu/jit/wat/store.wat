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
  (local $37 i64)
  (local $38 i64)
  (local $39 i64)
  (local $40 i32)
  (local $41 i32)
  (local $42 i64)
  (local $43 i32)
  (local $44 i32)
  (local $45 i64)
  (local $46 i32)
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
  (block
   (block $block2
    (local.set $1
     (i64.load offset=pcpu+0x8 align=1
      (i32.const 0)
     )
    )
    (local.set $4
     (i64.load offset=pcpu+0x20 align=1
      (i32.const 0)
     )
    )
    (local.set $7
     (i64.load offset=pcpu+0x38 align=1
      (i32.const 0)
     )
    )
    (block $block
     (@metadata.code.branch_hint "\00")
     (if
      (i32.lt_s
       (local.get $27)
       (i32.const 3)
      )
      (then
       (local.set $29
        (i32.const record+5)
       )
       (br $block)
      )
     )
     (loop $label
      (local.set $36
       (local.get $22)
      )
      (local.set $37
       (local.get $23)
      )
      (local.set $38
       (local.get $24)
      )
      (local.set $39
       (local.get $25)
      )
      (local.set $40
       (local.get $26)
      )
      (local.set $27
       (i32.sub
        (local.get $27)
        (i32.const 3)
       )
      )
      (block $block1
       (local.set $31
        (i32.wrap_i64
         (local.tee $35
          (i64.add
           (local.get $7)
           (i64.shl
            (local.get $1)
            (i64.const 3)
           )
          )
         )
        )
       )
       (local.set $41
        (i32.wrap_i64
         (local.tee $42
          (i64.sub
           (local.get $35)
           (i64.const 2097152)
          )
         )
        )
       )
       (i64.store offset=124809216 align=1
        (@metadata.code.branch_hint "\01")
        (if (result i32)
         (i64.le_u
          (local.get $42)
          (i64.const 2097144)
         )
         (then
          (local.get $41)
         )
         (else
          (@metadata.code.branch_hint "\00")
          (br_if $block
           (i32.eqz
            (local.tee $34
             (call_indirect (type $1)
              (local.get $35)
              (i32.const 8)
              (i32.const record+6|run)
              (i32.const 1)
             )
            )
           )
          )
          (i64.store align=1
           (local.get $34)
           (local.get $1)
          )
          (@metadata.code.branch_hint "\00")
          (if
           (i32.load offset=pcpu+0xcad50 align=1
            (i32.const 0)
           )
           (then
            (@metadata.code.branch_hint "\00")
            (if
             (call_indirect (type $2)
              (local.get $34)
              (i32.const 2)
             )
             (then
              (local.set $29
               (i32.const record+7)
              )
              (br $block)
             )
            )
           )
          )
          (br $block1)
         )
        )
        (local.get $1)
       )
      )
      (local.set $43
       (i32.ne
        (local.tee $44
         (i32.sub
          (i32.wrap_i64
           (local.get $1)
          )
          (i32.const 1)
         )
        )
        (i32.const 0)
       )
      )
      (local.set $45
       (i64.extend_i32_u
        (local.get $44)
       )
      )
      (local.set $46
       (i32.const 4613)
      )
      (local.set $1
       (i64.extend_i32_u
        (local.get $44)
       )
      )
      (@metadata.code.branch_hint "\01")
      (if
       (local.get $43)
       (then
        (@metadata.code.branch_hint "\00")
        (if
         (i32.lt_s
          (local.get $27)
          (i32.const 3)
         )
         (then
          (local.set $22
           (local.get $45)
          )
          (local.set $26
           (local.get $46)
          )
          (local.set $29
           (i32.const record+5)
          )
          (br $block)
         )
        )
        (local.set $22
         (local.get $36)
        )
        (local.set $23
         (local.get $37)
        )
        (local.set $24
         (local.get $38)
        )
        (local.set $26
         (i32.const 168453)
        )
        (br $label)
       )
       (else
        (local.set $22
         (local.get $45)
        )
        (local.set $26
         (local.get $46)
        )
        (local.set $29
         (i32.const record+8|fall)
        )
        (br $block)
       )
      )
     )
    )
    (i64.store offset=pcpu+0x8 align=1
     (i32.const 0)
     (local.get $1)
    )
    (br $block2)
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
     (call_indirect (type $3)
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
