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
  (local $35 i32)
  (local $36 i32)
  (local $37 i32)
  (local $38 i32)
  (local $39 i32)
  (local $40 i64)
  (local $41 i32)
  (local $42 i32)
  (local $43 i64)
  (local $44 i32)
  (local $45 i64)
  (local $46 i32)
  (local $47 i64)
  (local $48 i32)
  (local $49 i64)
  (local $50 i64)
  (local $51 i64)
  (local $52 i64)
  (local $53 i32)
  (local $54 i32)
  (local $55 i64)
  (local $56 i64)
  (local $57 i64)
  (local $scratch i64)
  (local $scratch_59 i64)
  (local $scratch_60 i64)
  (local $scratch_61 i64)
  (local $scratch_62 i64)
  (local $scratch_63 i64)
  (local $scratch_64 i64)
  (local $scratch_65 i64)
  (local $scratch_66 i64)
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
   (block $block
    (local.set $7
     (i64.load offset=pcpu+0x38 align=1
      (i32.const 0)
     )
    )
    (local.set $31
     (i32.wrap_i64
      (local.tee $34
       (i64.add
        (local.get $7)
        (i64.const 8)
       )
      )
     )
    )
    (local.set $48
     (i32.add
      (@metadata.code.branch_hint "\01")
      (if (result i32)
       (i64.le_u
        (i64.sub
         (local.get $34)
         (i64.const 4096)
        )
        (i64.const 4190192)
       )
       (then
        (local.get $31)
       )
       (else
        (@metadata.code.branch_hint "\00")
        (if
         (i32.eqz
          (local.tee $48
           (call_indirect (type $0)
            (local.get $34)
            (i32.const 16)
            (i32.const record+14|run)
            (i32.const 33)
           )
          )
         )
         (then
          (local.set $29
           (i32.const record+14)
          )
          (local.set $27
           (i32.sub
            (local.get $27)
            (i32.const 2)
           )
          )
          (br $block)
         )
        )
        (i32.sub
         (local.get $48)
         (i32.const 122712064)
        )
       )
      )
      (i32.const 122712064)
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
    (local.set $3
     (i64.load offset=pcpu+0x18 align=1
      (i32.const 0)
     )
    )
    (local.set $4
     (i64.load offset=pcpu+0x20 align=1
      (i32.const 0)
     )
    )
    (local.set $5
     (i64.load offset=pcpu+0x28 align=1
      (i32.const 0)
     )
    )
    (block $block1
     (@metadata.code.branch_hint "\00")
     (if
      (i32.lt_s
       (local.get $27)
       (i32.const 2)
      )
      (then
       (local.set $29
        (i32.const record+13)
       )
       (br $block1)
      )
     )
     (loop $label
      (local.set $49
       (local.get $22)
      )
      (local.set $50
       (local.get $23)
      )
      (local.set $51
       (local.get $24)
      )
      (local.set $52
       (local.get $25)
      )
      (local.set $53
       (local.get $26)
      )
      (local.set $27
       (i32.sub
        (local.get $27)
        (i32.const 2)
       )
      )
      (local.set $35
       (i32.ne
        (local.tee $36
         (i32.sub
          (i32.wrap_i64
           (local.get $3)
          )
          (i32.const 1)
         )
        )
        (i32.const 0)
       )
      )
      (local.set $3
       (block (result i64)
        (local.set $scratch_59
         (i64.extend_i32_u
          (local.get $36)
         )
        )
        (local.set $22
         (block (result i64)
          (local.set $scratch
           (i64.extend_i32_u
            (local.get $36)
           )
          )
          (local.set $26
           (i32.const 4613)
          )
          (local.get $scratch)
         )
        )
        (local.get $scratch_59)
       )
      )
      (@metadata.code.branch_hint "\01")
      (if
       (local.get $35)
       (then
        (local.set $27
         (i32.sub
          (local.get $27)
          (i32.const 1)
         )
        )
        (local.set $31
         (i32.wrap_i64
          (local.tee $34
           (i64.add
            (local.get $4)
            (i64.const -40)
           )
          )
         )
        )
        (local.set $54
         (i32.add
          (@metadata.code.branch_hint "\01")
          (if (result i32)
           (i64.le_u
            (i64.sub
             (local.get $34)
             (i64.const 4096)
            )
            (i64.const 1044440)
           )
           (then
            (local.get $31)
           )
           (else
            (@metadata.code.branch_hint "\00")
            (if
             (i32.eqz
              (local.tee $54
               (call_indirect (type $0)
                (local.get $34)
                (i32.const 40)
                (i32.const record+17|run)
                (i32.const 34)
               )
              )
             )
             (then
              (local.set $29
               (i32.const record+17)
              )
              (br $block1)
             )
            )
            (i32.sub
             (local.get $54)
             (i32.const 122712064)
            )
           )
          )
          (i32.const 122712064)
         )
        )
        (i64.store offset=32 align=1
         (local.get $54)
         (i64.const 1048586)
        )
        (local.set $4
         (i64.add
          (local.get $4)
          (i64.const -8)
         )
        )
        (local.set $27
         (i32.sub
          (local.get $27)
          (i32.const 9)
         )
        )
        (i64.store offset=24 align=1
         (local.get $54)
         (local.get $5)
        )
        (i64.store offset=16 align=1
         (local.get $54)
         (local.get $3)
        )
        (i64.store offset=8 align=1
         (local.get $54)
         (local.get $0)
        )
        (local.set $34
         (i64.load align=1
          (local.get $48)
         )
        )
        (local.set $40
         (i64.load offset=8 align=1
          (local.get $48)
         )
        )
        (i32.store align=1
         (local.get $54)
         (local.tee $35
          (i32.add
           (i32.wrap_i64
            (local.get $34)
           )
           (i32.wrap_i64
            (local.get $40)
           )
          )
         )
        )
        (local.set $43
         (i64.load offset=16 align=1
          (local.get $54)
         )
        )
        (local.set $45
         (i64.load offset=24 align=1
          (local.get $54)
         )
        )
        (local.set $47
         (i64.load offset=32 align=1
          (local.get $54)
         )
        )
        (local.set $55
         (local.get $47)
        )
        (local.set $1
         (block (result i64)
          (local.set $scratch_66
           (local.tee $56
            (i64.add
             (local.get $34)
             (local.get $40)
            )
           )
          )
          (local.set $3
           (block (result i64)
            (local.set $scratch_65
             (local.get $43)
            )
            (local.set $4
             (block (result i64)
              (local.set $scratch_64
               (i64.add
                (i64.add
                 (i64.add
                  (local.tee $57
                   (i64.add
                    (i64.add
                     (local.get $4)
                     (i64.const -8)
                    )
                    (i64.const -8)
                   )
                  )
                  (i64.const 8)
                 )
                 (i64.const 8)
                )
                (i64.const 8)
               )
              )
              (local.set $5
               (block (result i64)
                (local.set $scratch_63
                 (local.get $45)
                )
                (local.set $23
                 (block (result i64)
                  (local.set $scratch_62
                   (local.get $34)
                  )
                  (local.set $24
                   (block (result i64)
                    (local.set $scratch_61
                     (local.get $40)
                    )
                    (local.set $25
                     (block (result i64)
                      (local.set $scratch_60
                       (i64.and
                        (i64.extend_i32_u
                         (i64.lt_u
                          (i64.add
                           (local.get $34)
                           (local.get $40)
                          )
                          (local.get $34)
                         )
                        )
                        (i64.const 1)
                       )
                      )
                      (local.set $26
                       (i32.const 13057)
                      )
                      (local.get $scratch_60)
                     )
                    )
                    (local.get $scratch_61)
                   )
                  )
                  (local.get $scratch_62)
                 )
                )
                (local.get $scratch_63)
               )
              )
              (local.get $scratch_64)
             )
            )
            (local.get $scratch_65)
           )
          )
          (local.get $scratch_66)
         )
        )
        (if
         (i64.eq
          (local.get $55)
          (i64.const 1048586)
         )
         (then
          (@metadata.code.branch_hint "\00")
          (if
           (i32.lt_s
            (local.get $27)
            (i32.const 2)
           )
           (then
            (local.set $29
             (i32.const record+13)
            )
            (br $block1)
           )
          )
          (local.set $22
           (local.get $49)
          )
          (local.set $23
           (local.get $50)
          )
          (local.set $24
           (local.get $51)
          )
          (local.set $26
           (local.get $53)
          )
          (br $label)
         )
        )
        (@metadata.code.branch_hint "\00")
        (if
         (i64.ne
          (i64.shr_s
           (i64.shl
            (local.get $55)
            (i64.const 16)
           )
           (i64.const 16)
          )
          (local.get $55)
         )
         (then
          (local.set $4
           (i64.sub
            (local.get $4)
            (i64.const 8)
           )
          )
          (drop
           (call_indirect (type $2)
            (i32.const record+12)
            (i32.const 4)
           )
          )
          (br $block1)
         )
        )
        (i64.store offset=pcpu+0xc0 align=1
         (i32.const 0)
         (local.get $55)
        )
        (local.set $29
         (i32.const 1)
        )
        (br $block1)
       )
       (else
        (local.set $29
         (i32.const record+15|fall)
        )
        (br $block1)
       )
      )
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
    (i64.store offset=pcpu+0x18 align=1
     (i32.const 0)
     (local.get $3)
    )
    (i64.store offset=pcpu+0x20 align=1
     (i32.const 0)
     (local.get $4)
    )
    (i64.store offset=pcpu+0x28 align=1
     (i32.const 0)
     (local.get $5)
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
