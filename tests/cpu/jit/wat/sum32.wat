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
  (local $35 i32)
  (local $36 i32)
  (local $37 i32)
  (local $38 i32)
  (local $39 i32)
  (local $40 i32)
  (local $41 i32)
  (local $42 i64)
  (local $43 i64)
  (local $44 i64)
  (local $45 i64)
  (local $46 i32)
  (local $47 i64)
  (local $48 i64)
  (local $49 i32)
  (local $50 i32)
  (local $scratch i64)
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
   (block $block3
    (local.set $0
     (i64.load offset=pcpu+0x0 align=1
      (i32.const 0)
     )
    )
    (local.set $6
     (i64.load offset=pcpu+0x30 align=1
      (i32.const 0)
     )
    )
    (local.set $7
     (i64.load offset=pcpu+0x38 align=1
      (i32.const 0)
     )
    )
    (block $block2
     (local.set $39
      (i32.const 1)
     )
     (loop $label
      (block $block1
       (block $block
        (@metadata.code.branch_hint "\00")
        (br_if $block
         (i32.lt_s
          (local.tee $38
           (i32.sub
            (local.get $27)
            (i32.const 512)
           )
          )
          (i32.const 3)
         )
        )
        (local.set $31
         (i32.wrap_i64
          (local.get $7)
         )
        )
        (@metadata.code.branch_hint "\00")
        (br_if $block
         (i32.eqz
          (i32.le_u
           (i32.sub
            (local.get $31)
            (i32.const 4096)
           )
           (i32.const 4193792)
          )
         )
        )
        (local.set $37
         (i32.const 122712064)
        )
        (br $block1)
       )
       (@metadata.code.branch_hint "\00")
       (if
        (i32.lt_s
         (local.get $27)
         (i32.const 4)
        )
        (then
         (local.set $29
          (i32.const record+6)
         )
         (br $block2)
        )
       )
       (local.set $31
        (i32.wrap_i64
         (local.get $7)
        )
       )
       (local.set $36
        (i32.add
         (@metadata.code.branch_hint "\01")
         (if (result i32)
          (i32.le_u
           (i32.sub
            (local.get $31)
            (i32.const 4096)
           )
           (i32.const 4194300)
          )
          (then
           (local.get $31)
          )
          (else
           (@metadata.code.branch_hint "\00")
           (if
            (i32.eqz
             (local.tee $36
              (call_indirect (type $1)
               (i64.extend_i32_u
                (local.get $31)
               )
               (i32.const 4)
               (i32.const record+7|run)
               (i32.const 33)
              )
             )
            )
            (then
             (local.set $29
              (i32.const record+7)
             )
             (local.set $27
              (i32.sub
               (local.get $27)
               (i32.const 4)
              )
             )
             (br $block2)
            )
           )
           (i32.sub
            (local.get $36)
            (i32.const 122712064)
           )
          )
         )
         (i32.const 122712064)
        )
       )
       (local.set $37
        (i32.sub
         (local.get $36)
         (i32.wrap_i64
          (local.get $7)
         )
        )
       )
       (local.set $34
        (i32.add
         (i32.and
          (local.get $36)
          (i32.const 4095)
         )
         (i32.const 4)
        )
       )
       (local.set $34
        (select
         (local.tee $35
          (i32.const 4096)
         )
         (local.get $34)
         (i32.lt_u
          (local.get $35)
          (local.get $34)
         )
        )
       )
       (local.set $40
        (i32.add
         (i32.div_u
          (i32.sub
           (i32.const 4096)
           (local.get $34)
          )
          (i32.const 4)
         )
         (i32.const 1)
        )
       )
       (local.set $38
        (i32.const 3)
       )
       (local.set $38
        (select
         (local.tee $41
          (i32.sub
           (local.get $27)
           (i32.mul
            (local.get $40)
            (i32.const 4)
           )
          )
         )
         (local.get $38)
         (i32.ge_s
          (local.get $41)
          (local.get $38)
         )
        )
       )
      )
      (loop $label1
       (local.set $42
        (local.get $22)
       )
       (local.set $43
        (local.get $23)
       )
       (local.set $44
        (local.get $24)
       )
       (local.set $45
        (local.get $25)
       )
       (local.set $46
        (local.get $26)
       )
       (local.set $27
        (i32.sub
         (local.get $27)
         (i32.const 4)
        )
       )
       (local.set $36
        (i32.add
         (local.get $37)
         (i32.wrap_i64
          (local.get $7)
         )
        )
       )
       (local.set $34
        (i32.load align=1
         (local.get $36)
        )
       )
       (local.set $35
        (i32.ne
         (local.tee $41
          (i32.add
           (i32.wrap_i64
            (local.get $7)
           )
           (i32.const 4)
          )
         )
         (i32.wrap_i64
          (local.get $6)
         )
        )
       )
       (local.set $47
        (i64.extend_i32_u
         (local.get $41)
        )
       )
       (local.set $48
        (local.get $6)
       )
       (local.set $49
        (i32.const 4610)
       )
       (local.set $0
        (block (result i64)
         (local.set $scratch
          (i64.extend_i32_u
           (local.tee $50
            (i32.add
             (i32.wrap_i64
              (local.get $0)
             )
             (local.get $34)
            )
           )
          )
         )
         (local.set $7
          (i64.extend_i32_u
           (local.get $41)
          )
         )
         (local.get $scratch)
        )
       )
       (@metadata.code.branch_hint "\01")
       (if
        (local.get $35)
        (then
         (@metadata.code.branch_hint "\00")
         (if
          (i32.le_s
           (local.get $27)
           (local.get $38)
          )
          (then
           (local.set $23
            (local.get $47)
           )
           (local.set $24
            (local.get $48)
           )
           (local.set $26
            (local.get $49)
           )
           (local.set $39
            (i32.const 0)
           )
           (br $label)
          )
         )
         (local.set $22
          (local.get $42)
         )
         (local.set $23
          (local.get $43)
         )
         (local.set $24
          (local.get $44)
         )
         (local.set $25
          (local.get $45)
         )
         (local.set $26
          (local.get $46)
         )
         (br $label1)
        )
        (else
         (local.set $23
          (local.get $47)
         )
         (local.set $24
          (local.get $48)
         )
         (local.set $26
          (local.get $49)
         )
         (local.set $29
          (i32.const record+10|fall)
         )
         (br $block2)
        )
       )
      )
     )
    )
    (i64.store offset=pcpu+0x0 align=1
     (i32.const 0)
     (local.get $0)
    )
    (i64.store offset=pcpu+0x38 align=1
     (i32.const 0)
     (local.get $7)
    )
    (br $block3)
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
     (call_indirect (type $2)
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
