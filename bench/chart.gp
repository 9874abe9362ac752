# SPDX-License-Identifier: Apache-2.0
# gnuplot -c chart.gp DATA SVG: one bar per peer, Landfall's wall time as a share of the peer's, with
# the smallest and the largest round. Left of the line Landfall is faster. A bar longer than the
# axis ends at its edge; its number says how long it is.
set terminal svg size 900, 560 font "sans-serif,13" background "white"
set output ARG2
set title "Landfall's wall time ÷ the peer's"
edge = 2
set yrange [*:*] reverse
set offsets 0, 0, 0.6, 0.6
set xrange [0:edge]
set grid xtics
set arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc rgb '#444444'
set style fill solid 0.8 noborder
set lmargin 44
set rmargin 8
unset key
clipped(x) = x > edge ? edge : x
plot ARG1 using (clipped($2)):0:(0):(clipped($2)):($0 - 0.35):($0 + 0.35):ytic(1) \
         with boxxyerror lc rgb '#3b78b8', \
     ARG1 using (clipped($2)):0:(clipped($3)):(clipped($4)) with xerrorbars pt 0 lc rgb '#222222', \
     ARG1 using (edge):0:(sprintf('%.2f', $2)) with labels left offset 1, 0
