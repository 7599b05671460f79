// Package archtest holds the rules of the house as tests: who may import whom,
// how long functions and files may get, and that packages keep no state. It has
// no code that anyone could import.
package archtest
