// The pointer on the timeline: a cursor through all panels, and the figures under it in the legends.
(function () {
  "use strict";
  var box = document.getElementById("timeline");
  var data = JSON.parse(document.getElementById("series").textContent);
  if (!box || !data) return;
  var cursor = box.querySelector(".cursor"), label = cursor.firstChild;
  var outputs = Array.prototype.slice.call(box.querySelectorAll("output[data-s]"));
  outputs.forEach(function (o) { o.whole = o.textContent; });
  function digits(v) { return v >= 100 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(3)); }
  function show(v, unit) {
    if (v === null || v === undefined) return "–";
    if (unit === "s") return v < 0.001 ? digits(v * 1e6) + " µs" : v < 1 ? digits(v * 1e3) + " ms" : digits(v) + " s";
    if (unit === "B") return v < 1048576 ? digits(v / 1024) + " KiB" : v < 1073741824 ? digits(v / 1048576) + " MiB" : digits(v / 1073741824) + " GiB";
    return digits(v) + (unit === "%" ? " %" : unit);
  }
  function time(s) {
    if (s < 60) return +s.toFixed(2) + "s";
    var m = Math.floor(s / 60), r = String(Math.floor(s % 60)).padStart(2, "0");
    return m < 60 ? m + ":" + r : Math.floor(m / 60) + ":" + String(m % 60).padStart(2, "0") + ":" + r;
  }
  function leave() {
    cursor.hidden = true;
    outputs.forEach(function (o) { o.textContent = o.whole; });
  }
  box.addEventListener("pointermove", function (event) {
    var field = box.querySelector(".field"), r = field.getBoundingClientRect();
    var share = (event.clientX - r.left) / r.width;
    if (share < 0 || share >= 1) return leave();
    var i = Math.floor(share * data.n);
    cursor.hidden = false;
    cursor.style.left = (r.left - box.getBoundingClientRect().left + share * r.width) + "px";
    cursor.classList.toggle("late", share > 0.85);
    label.textContent = time(i * data.w);
    outputs.forEach(function (o) {
      var s = data.series[o.dataset.s];
      if (s) o.textContent = show(s.v[i], s.u);
    });
  });
  box.addEventListener("pointerleave", leave);
})();
