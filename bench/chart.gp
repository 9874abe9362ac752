# SPDX-License-Identifier: Apache-2.0
# gnuplot -c chart.gp DATA SVG: one bar per peer, Landfall's wall time as a share of the peer's, with
# the smallest and the largest round. Left of the line Landfall is faster.
set terminal svg size 900, 560 font 'sans-serif,13'
set output ARG2
set title "Landfall's wall time ÷ the peer's (median of paired rounds, smallest to largest)"
set yrange [*:*] reverse
set offsets 0, 0, 0.6, 0.6
set xrange [0:*]
set grid xtics
set arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc rgb '#444444'
set style fill solid 0.8 noborder
set lmargin 36
unset key
plot ARG1 using 2:0:(0):2:($0 - 0.35):($0 + 0.35):ytic(1) with boxxyerror lc rgb '#3b78b8', \
     ARG1 using 2:0:3:4 with xerrorbars pt 0 lc rgb '#222222'
