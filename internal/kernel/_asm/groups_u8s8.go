package main

import "fmt"

func init() {
	register("groups_u8s8", func(f *file) {
		f.words("transpose4", transpose4...)
		for _, group := range []int{2, 4} {
			for p := range group / 2 {
				for v := range 2 {
					f.words(pairsOf(group, p, v), pairIndex(group, p, v)...)
				}
			}
		}
		for _, group := range []int{2, 4, 8} {
			for _, mr := range []int{4, 2, 1} {
				f.microGroups(group, mr)
			}
		}
		for dots := 1; dots <= 2; dots++ {
			for i := range 4 * dots {
				f.words(foursOf(dots, i), fourIndex(dots, i)...)
			}
			for _, mr := range []int{8, 4, 2, 1} {
				f.microFours(dots, mr, 1)
			}
			for _, mr := range []int{4, 2, 1} {
				f.microFours(dots, mr, 4)
			}
		}
	})
}

func foursOf(dots, i int) string { return fmt.Sprintf("fours%dx%d", dots, i) }

// fourIndex lists for the sixteen columns of a vector which dword of four channels meets their weights: i counts the dot products
// of one vector, and then those of the next.
func fourIndex(dots, i int) []uint64 {
	var w [8]uint64
	for c := range 16 {
		w[c/2] |= uint64(i/dots*4+c/(4*dots)*dots+i%dots) << (c % 2 * 32)
	}
	return w[:]
}

// microFours makes nv vectors of columns of as many channels, which see only those of their group: at most four in one dot
// product, or eight in two. The driver gives argB [tap][vector][dot product][column] four bytes.
func (f *file) microFours(dots, mr, nv int) {
	m := &micro{file: f, name: fmt.Sprintf("fours%dx%dx%d", dots, mr, nv*16), width: 64, mr: mr, nv: nv, size: 1, finish: finishIntZ}
	all := nv * dots
	index := func(i int) string { return reg(64, 32-all+i) }
	load := "VMOVDQU32"
	if nv == 1 {
		load = "VBROADCASTI32X4"
	}
	m.pro = func(m *micro) {
		for i := range all {
			m.p("VMOVDQU32 %s<>(SB), %s", foursOf(dots, i), index(i))
		}
	}
	m.fill = func(m *micro) {
		m.start()
		m.p("taploop:")
		m.addresses()
		for r := range mr {
			x := reg(64, mr*nv+r%2)
			m.p("%s (%s)(AX*1), %s", load, rowRegs[r], x)
			for i := range all {
				t := reg(64, mr*nv+2+(r*all+i)%4)
				m.p("VPERMD %s, %s, %s", x, index(i), t)
				m.p("VPDPBUSD %d(BX), %s, %s", i*m.width, t, m.acc(r, i/dots))
			}
		}
		m.p("ADDQ $%d, BX", all*m.width)
		m.p("DECQ %s", curTaps)
		m.p("JNE taploop")
	}
	m.emit(fmt.Sprintf("makes tiles of %d rows by %d columns in groups, %d dot products of each.", mr, nv*16, dots))
}

func pairsOf(group, p, v int) string { return fmt.Sprintf("pairs%dx%dx%d", group, p, v) }

// pairIndex lists for the eight columns of vector v which dword of sixteen words holds pair p of their group.
func pairIndex(group, p, v int) []uint64 {
	var w [4]uint64
	for c := range 8 {
		w[c/2] |= uint64((v*8+c)/group*group/2+p) << (c % 2 * 32)
	}
	return w[:]
}

const (
	groupsX    = 8  // sixteen channels as words
	groupsTmp  = 9  // and the next
	groupsHalf = 11 // eight of the channels in both halves, and the next the others
	groupsPair = 12 // indices of pairs
)

// microGroups makes 16 columns of 16 channels that see only those of their group. The driver gives argB [tap][pair][column] pairs
// of int16.
func (f *file) microGroups(group, mr int) {
	m := &micro{file: f, name: fmt.Sprintf("groups%dx%dx16", group, mr), width: 32, mr: mr, nv: 2, size: 1, finish: finishIntY}
	m.pro = func(m *micro) {
		if group < 8 {
			for i := range group {
				m.p("VMOVDQU %s<>(SB), %s", pairsOf(group, i/2, i%2), reg(32, groupsPair+i))
			}
		}
	}
	m.fill = func(m *micro) {
		m.start()
		m.p("taploop:")
		m.addresses()
		for r := range mr {
			m.groupsRow(group, r)
		}
		m.p("ADDQ $%d, BX", group*m.width)
		m.p("DECQ %s", curTaps)
		m.p("JNE taploop")
	}
	m.emit(fmt.Sprintf("makes tiles of %d rows by 16 columns in groups of %d.", mr, group))
}

// groupsRow adds the products of row r at one tap.
func (m *micro) groupsRow(group, r int) {
	x := reg(32, groupsX)
	m.p("VPMOVZXBW (%s)(AX*1), %s", rowRegs[r], x)
	if group == 8 {
		m.p("VPERMQ $0x44, %s, %s", x, reg(32, groupsHalf))
		m.p("VPERMQ $0xEE, %s, %s", x, reg(32, groupsHalf+1))
	}
	for i := range group {
		p, v := i/2, i%2
		t := reg(32, groupsTmp+v)
		if group == 8 {
			m.p("VPSHUFD $%d, %s, %s", p*0x55, reg(32, groupsHalf+v), t)
		} else {
			m.p("VPERMD %s, %s, %s", x, reg(32, groupsPair+i), t)
		}
		m.p("VPMADDWD %d(BX), %s, %s", i*m.width, t, t)
		m.p("VPADDD %s, %s, %s", t, m.acc(r, v), m.acc(r, v))
	}
}
