# SPDX-License-Identifier: Apache-2.0
# gnuplot -c chart.gp DATA SVG BARS: one bar per peer, Landfall's wall time as a share of the peer's,
# with the smallest and the largest round. Left of the line Landfall is faster. Marks on a bar: what
# is required (red) and the goal (green). A bar longer than the axis ends at its edge; its number says
# how long it is.
set terminal svg size 960, 120 + 24 * ARG3 font "sans-serif,13" background "white"
set output ARG2
set title "Landfall's wall time ÷ the peer's"
edge = 2.5
set datafile missing '-'
set yrange [ARG3 - 0.4:-0.6]
set xrange [0:edge]
set grid xtics
set arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc rgb '#444444'
set style fill solid 0.8 noborder
set lmargin 48
set rmargin 8
set key below
clipped(x) = x > edge ? edge : x
plot ARG1 using (clipped($2)):0:(0):(clipped($2)):($0 - 0.35):($0 + 0.35):ytic(1) \
         with boxxyerror lc rgb '#3b78b8' notitle, \
     ARG1 using (clipped($2)):0:(clipped($3)):(clipped($4)) with xerrorbars pt 0 lc rgb '#222222' \
         title 'smallest to largest', \
     ARG1 using 5:($0 - 0.42):(0):(0.84) with vectors nohead lw 3 lc rgb '#c03028' title 'required', \
     ARG1 using 6:($0 - 0.42):(0):(0.84) with vectors nohead lw 3 lc rgb '#2e8b57' title 'goal', \
     ARG1 using (edge):0:(sprintf('%.2f', $2)) with labels left offset 1, 0 notitle
