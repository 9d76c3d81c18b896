# What cannot be split or joined.
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
try() { slim-quant "$@" || echo "exit $?"; }
try $M -o out --shard 1/2
try $M -o out --type w8a16 --shard 3/2
try $M -o out --type w8a16 --shard x
try $M -o out --type w8a16 --shard 90/99
for i in 1 2; do slim-quant $M -o part$i --type w8a16 --shard $i/2 -q; done
slim-quant $M -o other --type w8a16 --shard 2/2 --layout mindie -q
try merge out part1
try merge out part1 part1
try merge out part1 other
try merge out part1 $M
try merge part1 part1 part2
sed -i s/I8/I9/ part1/slim_shard.json
try merge out part1 part2
sed -i s/I9/I8/ part1/slim_shard.json
printf '{' >part2/slim_shard.json
try merge out part1 part2
test ! -e out
