module lowbit/internal/kernel/asm

go 1.26
