// Package spelling compares names, to find the one that was meant when somebody has mistyped it.
package spelling

// Distance returns how many letters have to be added, taken away or replaced to make b of a.
func Distance(a, b string) int {
	row := make([]int, len(b)+1) // of the beginning of a so far, to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, corner+1, row[j]+1)
		}
	}
	return row[len(b)]
}
