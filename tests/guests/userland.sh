# Everyday work whose output must not depend on the machine. Runs in the empty folder $1 with busybox at $2; $3 MB through the
# checksums, $4 processes. The same script by the same busybox gives the reference on the host.
export LC_ALL=C TZ=UTC
busybox=$2
cd "$1" || exit
part() { echo "== $1"; }

part checksums
dd if=/dev/zero bs=64k count=$(($3 * 16)) 2>/dev/null | sha256sum
for sum in md5sum sha1sum sha256sum sha512sum sha3sum; do $sum <"$busybox"; done

part compression
gzip -c <"$busybox" | gunzip -c | cmp - "$busybox" && echo gzip
gzip -9 -c <"$busybox" | wc -c
head -c 100000 "$busybox" | bzip2 -c | bunzip2 -c | sha256sum
base64 <"$busybox" | base64 -d | cmp - "$busybox" && echo base64

part awk
awk 'BEGIN {
  for (i = 1; i <= 40; i++) {
    sum += 1 / i
    root = i; for (n = 0; n < 9; n++) root = (root + i / root) / 2
    printf "%d %.17g %.17g %.9e %.6f %g %x\n", i, sum, root, sum / 1e300 / 1e8, -i / 7, 1e15 / i, i * 2654435761 % 4294967296
  }
  print 9007199254740992 + 1, 1e308 * 10, -1e308 * 10, 1e308 * 10 * 0, int(-3.7), -7 % 3, substr("hypervisor", 3, 4), index("guest", "es")
}'
seq 1 20000 | awk '{ s += $1 * $1; if ($1 % 3 == 0) n++; a[$1 % 97] += $1 } END { print s, n, a[5], a[96] }'

part bc
echo 'scale=60; 4*a(1); e(1); sqrt(2); l(10); 2^300; 7^77 % 1000003; (3/7)^9' | BC_LINE_LENGTH=0 bc -l
factor 1000000007 600851475143 4294967296000000

part shell
echo $((1 << 62)) $((-7 / 2)) $((-7 % 3)) $((0x7fffffffffffffff + 1)) $((12345678901 * 98765)) $((7 > 3 && 2 != 2))
f() { [ "$1" -lt 2 ] && echo "$1" || echo $(($(f $(($1 - 1))) + $(f $(($1 - 2))))); }
f 7
printf '%s %05d %x %o %e %.3f %c|%-6s|\n' text 42 255 8 12345.678 2.71828 xyz left

part processes
i=0 sum=0
while [ $i -lt "$4" ]; do
  sum=$((sum + $("$busybox" expr $i % 7)))
  i=$((i + 1))
done
echo $i $sum
seq 1 50 | xargs -n 1 "$busybox" echo | wc -l
(sleep 0.2; exit 7) & wait $!; echo $?
sh -c 'kill -9 $$' 2>/dev/null; echo $?
trap 'echo caught' USR1; kill -USR1 $$; trap - USR1

part pipes
seq 1 30000 | grep -v 7 | cut -c 1-3 | sort | uniq -c | sort -rn | head -4
yes hypervisor | head -c 3000000 | tr a-z A-Z | tail -c 25
seq 1 3000 | tee copy | sha256sum; cmp copy copy && rm copy
mkfifo fifo; seq 1 5000 >fifo & wc -l <fifo; wait

part sort
seq 1 6000 | awk '{ print ($1 * 7919) % 4001, $1 }' >numbers
sort -n numbers | sha256sum; sort numbers | sha256sum; sort -k 2,2nr numbers | head -3; sort -u -n -k 1,1 numbers | wc -l

part text
sed -n '1,3p;s/\([0-9]*\) \([0-9]*\)5$/\2-\1/p;5990q' numbers | tail -8
head -500 numbers >a
sed -e 's/[0-4]/_/g' -e 'y/567/xyz/' a | sha256sum
sed '3d;100s/$/!/;400i\new' a >b; diff a b; diff -u a b >patch; cp a c; patch c <patch && cmp b c && echo patched
od -A x -t x1 -N 64 "$busybox"; od -t f8 -N 64 "$busybox"; hexdump -C -n 1616 "$busybox" | tail -4; head -c 200000 "$busybox" | strings -n 12 | sha256sum
expr 17 \* 3 - 4 / 2; echo racecar | rev; echo 'a b  c' | tr -s ' ' | cut -d ' ' -f 3; fold -w 7 a | sha256sum

part files
mkdir -p tree/one/two tree/three
for n in 1 2 3 4 5 6 7 8; do head -c $((n * 10000)) "$busybox" >tree/one/file$n; ln -s ../one/file$n tree/three/link$n; done
cp -r tree/one tree/one/two/copy 2>/dev/null; chmod 640 tree/one/file3; ln tree/one/file1 tree/hard
find tree | sort | sha256sum; find tree -type l | sort | head -3; find tree -name 'file[2-4]' -size +20k | sort
tar -cf tree.tar tree && mkdir back && tar -xf tree.tar -C back && diff -r tree back/tree && echo tar
tar -tf tree.tar | sort | sha256sum; (cd tree && find . -type f | sort | xargs sha256sum) | sha256sum
dd if="$busybox" of=pieces bs=4093 2>/dev/null; cmp pieces "$busybox" && echo dd
dd if="$busybox" bs=1 skip=123456 count=3000 2>/dev/null | md5sum
dd if=/dev/zero of=sparse bs=1 count=1 seek=5000000 2>/dev/null; wc -c <sparse; md5sum <sparse; truncate -s 100 sparse; stat -c '%s %F %a' sparse tree/one/file3
mv tree moved && rm -r moved && find . | sort
