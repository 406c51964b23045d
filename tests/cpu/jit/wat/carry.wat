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
  (local $38 i32)
  (local $39 i64)
  (local $40 i64)
  (local $scratch i64)
  (local $scratch_42 i64)
  (local $scratch_43 i64)
  (local $scratch_44 i64)
  (local $scratch_45 i64)
  (local $scratch_46 i64)
  (local $scratch_47 i64)
  (local $scratch_48 i64)
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
  (local.set $25
   (call_indirect (type $0)
    (i32.const 64)
    (i64.const 0)
    (i64.const 0)
    (i64.const 0)
    (i64.const 0)
    (i32.const 6)
   )
  )
  (block $block1
   (block $block2
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
    (local.set $2
     (i64.load offset=pcpu+0x10 align=1
      (i32.const 0)
     )
    )
    (local.set $3
     (i64.load offset=pcpu+0x18 align=1
      (i32.const 0)
     )
    )
    (local.set $6
     (i64.load offset=pcpu+0x30 align=1
      (i32.const 0)
     )
    )
    (block $block
     (@metadata.code.branch_hint "\00")
     (if
      (i32.lt_s
       (local.get $27)
       (i32.const 1)
      )
      (then
       (local.set $29
        (i32.const record+7)
       )
       (br $block)
      )
     )
     (loop $label
      (local.set $34
       (local.get $22)
      )
      (local.set $35
       (local.get $23)
      )
      (local.set $36
       (local.get $24)
      )
      (local.set $37
       (local.get $25)
      )
      (local.set $38
       (local.get $26)
      )
      (local.set $27
       (i32.sub
        (local.get $27)
        (i32.const 1)
       )
      )
      (local.set $27
       (i32.sub
        (local.get $27)
        (i32.const 4)
       )
      )
      (local.set $0
       (block (result i64)
        (local.set $scratch_47
         (i64.add
          (local.get $0)
          (local.get $3)
         )
        )
        (local.set $1
         (block (result i64)
          (local.set $scratch_46
           (i64.extend_i32_u
            (i32.add
             (i32.wrap_i64
              (local.get $1)
             )
             (i32.const -1)
            )
           )
          )
          (local.set $2
           (block (result i64)
            (local.set $scratch_45
             (local.tee $40
              (i64.add
               (i64.add
                (local.get $2)
                (local.get $6)
               )
               (local.tee $39
                (i64.extend_i32_u
                 (i64.lt_u
                  (i64.add
                   (local.get $0)
                   (local.get $3)
                  )
                  (local.get $0)
                 )
                )
               )
              )
             )
            )
            (local.set $22
             (block (result i64)
              (local.set $scratch_44
               (local.get $40)
              )
              (local.set $23
               (block (result i64)
                (local.set $scratch_43
                 (local.get $2)
                )
                (local.set $24
                 (block (result i64)
                  (local.set $scratch_42
                   (local.get $6)
                  )
                  (local.set $25
                   (block (result i64)
                    (local.set $scratch
                     (i64.or
                      (i64.extend_i32_u
                       (i64.lt_u
                        (local.get $40)
                        (local.get $2)
                       )
                      )
                      (i64.and
                       (local.get $39)
                       (i64.extend_i32_u
                        (i64.eq
                         (local.get $40)
                         (local.get $2)
                        )
                       )
                      )
                     )
                    )
                    (local.set $26
                     (i32.const 4870)
                    )
                    (local.get $scratch)
                   )
                  )
                  (local.get $scratch_42)
                 )
                )
                (local.get $scratch_43)
               )
              )
              (local.get $scratch_44)
             )
            )
            (local.get $scratch_45)
           )
          )
          (local.get $scratch_46)
         )
        )
        (local.get $scratch_47)
       )
      )
      (i64.store offset=pcpu+0x0 align=1
       (i32.const 0)
       (local.get $0)
      )
      (i64.store offset=pcpu+0x8 align=1
       (i32.const 0)
       (local.get $1)
      )
      (i64.store offset=pcpu+0x10 align=1
       (i32.const 0)
       (local.get $2)
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
           (call_indirect (type $3)
            (i32.const record+13)
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
           (local.set $2
            (i64.load offset=pcpu+0x10 align=1
             (i32.const 0)
            )
           )
           (local.set $3
            (i64.load offset=pcpu+0x18 align=1
             (i32.const 0)
            )
           )
           (local.set $6
            (i64.load offset=pcpu+0x30 align=1
             (i32.const 0)
            )
           )
           (i32.const record+14)
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
        (br $block1)
       )
      )
      (i32.store offset=pcpu+0x1018 align=1
       (i32.const 0)
       (i32.const 0)
      )
      (local.set $39
       (call_indirect (type $0)
        (local.get $26)
        (local.get $22)
        (local.get $23)
        (local.get $24)
        (local.get $25)
        (i32.const 6)
       )
      )
      (local.set $25
       (block (result i64)
        (local.set $scratch_48
         (i64.and
          (local.get $39)
          (i64.const 1)
         )
        )
        (local.set $26
         (i32.const 8256)
        )
        (local.get $scratch_48)
       )
      )
      (@metadata.code.branch_hint "\00")
      (if
       (i32.lt_s
        (local.get $27)
        (i32.const 1)
       )
       (then
        (local.set $29
         (i32.const record+7)
        )
        (br $block)
       )
      )
      (br $label)
     )
    )
    (i64.store offset=pcpu+0x0 align=1
     (i32.const 0)
     (local.get $0)
    )
    (i64.store offset=pcpu+0x8 align=1
     (i32.const 0)
     (local.get $1)
    )
    (i64.store offset=pcpu+0x10 align=1
     (i32.const 0)
     (local.get $2)
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
