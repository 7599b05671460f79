package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

func cmdLike(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, neg, args, 2, "like FILE PATTERN")
	var got, pattern any
	text := ts.ReadFile(args[0])
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		ts.Fatalf("%s is no JSON: %v\n%s", args[0], err, text)
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &pattern))
	if err := like(got, pattern); err != nil {
		ts.Fatalf("%s%v\n%s", args[0], err, text)
	}
}

// like compares two values of JSON. Objects have the same keys, arrays the same
// length; a string of the pattern is a regular expression for the whole string or number.
func like(got, pattern any) error {
	switch p := pattern.(type) {
	case map[string]any:
		return likeObject(got, p)
	case []any:
		return likeArray(got, p)
	case string:
		s, ok := got.(string)
		if n, isNumber := got.(float64); isNumber {
			s, ok = strconv.FormatFloat(n, 'f', -1, 64), true
		}
		if !ok || !regexp.MustCompile(`(?s)\A(?:`+p+`)\z`).MatchString(s) {
			return fmt.Errorf(": %#v is not like %q", got, p)
		}
		return nil
	}
	if !reflect.DeepEqual(got, pattern) {
		return fmt.Errorf(": %#v, want %#v", got, pattern)
	}
	return nil
}

func likeObject(got any, pattern map[string]any) error {
	object, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf(": %#v is no object", got)
	}
	have, wanted := slices.Sorted(maps.Keys(object)), slices.Sorted(maps.Keys(pattern))
	if !slices.Equal(have, wanted) {
		return fmt.Errorf(": keys %v, want %v", have, wanted)
	}
	for key, p := range pattern {
		if err := like(object[key], p); err != nil {
			return fmt.Errorf(".%s%w", key, err)
		}
	}
	return nil
}

func likeArray(got any, pattern []any) error {
	array, ok := got.([]any)
	if !ok || len(array) != len(pattern) {
		return fmt.Errorf(": %#v, want %d elements", got, len(pattern))
	}
	for i, p := range pattern {
		if err := like(array[i], p); err != nil {
			return fmt.Errorf("[%d]%w", i, err)
		}
	}
	return nil
}
