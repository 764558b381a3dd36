package expect

import "testing"

// listen is of the width of a real log: 18 members, half of them text.
const listen = `{"artist":"The Prodigy","auth":"Logged In","firstName":"Lily","gender":"F","itemInSession":1,"lastName":"Koch","length":260.07465,"level":"paid","location":"Chicago-Naperville-Elgin, IL-IN-WI","method":"PUT","page":"NextSong","registration":1541048010796.0,"sessionId":818,"song":"The Big Gundown","status":200,"ts":1542837407796,"userAgent":"\"Mozilla\/5.0 (X11; Linux x86_64) AppleWebKit\/537.36 (KHTML, like Gecko) Ubuntu Chromium\/36.0.1985.125 Chrome\/36.0.1985.125 Safari\/537.36\"","userId":"15"}`

func BenchmarkEncoder(b *testing.B) {
	e := NewEncoder(TableOf("NextSong", [][]byte{[]byte(listen)}))
	row, buf := []byte(listen), []byte(nil)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		buf = e.Append(buf[:0], row)
	}
}
