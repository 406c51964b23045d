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
  (local $34 i64)
  (local $35 i64)
  (local $36 i64)
  (local $37 i64)
  (local $38 i64)
  (local $39 i32)
  (local $40 i32)
  (local $41 i32)
  (local $42 i32)
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
   (block $block1
    (local.set $1
     (i64.load offset=pcpu+0x8 align=1
      (i32.const 0)
     )
    )
    (block $block
     (@metadata.code.branch_hint "\00")
     (if
      (i32.lt_s
       (local.get $27)
       (i32.const 2)
      )
      (then
       (local.set $29
        (i32.const record+4)
       )
       (br $block)
      )
     )
     (loop $label
      (local.set $35
       (local.get $22)
      )
      (local.set $36
       (local.get $23)
      )
      (local.set $37
       (local.get $24)
      )
      (local.set $38
       (local.get $25)
      )
      (local.set $39
       (local.get $26)
      )
      (local.set $27
       (i32.sub
        (local.get $27)
        (i32.const 2)
       )
      )
      (local.set $40
       (i32.ne
        (local.tee $41
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
      (local.set $34
       (i64.extend_i32_u
        (local.get $41)
       )
      )
      (local.set $42
       (i32.const 4613)
      )
      (local.set $1
       (i64.extend_i32_u
        (local.get $41)
       )
      )
      (@metadata.code.branch_hint "\01")
      (if
       (local.get $40)
       (then
        (@metadata.code.branch_hint "\00")
        (if
         (i32.lt_s
          (local.get $27)
          (i32.const 2)
         )
         (then
          (local.set $22
           (local.get $34)
          )
          (local.set $26
           (local.get $42)
          )
          (local.set $29
           (i32.const record+4)
          )
          (br $block)
         )
        )
        (local.set $22
         (local.get $35)
        )
        (local.set $23
         (local.get $36)
        )
        (local.set $24
         (local.get $37)
        )
        (local.set $26
         (local.get $39)
        )
        (br $label)
       )
       (else
        (local.set $22
         (local.get $34)
        )
        (local.set $26
         (local.get $42)
        )
        (local.set $29
         (i32.const record+6|fall)
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
    (br $block1)
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
