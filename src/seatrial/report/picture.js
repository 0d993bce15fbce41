// Pointing at an op, or tapping it, writes all of it below the picture; leaving a tapped one keeps it.
(function () {
  "use strict";
  Array.prototype.forEach.call(document.querySelectorAll(".linear, .cycle"), function (box) {
    var told = box.querySelector(".told"), empty = told.textContent, kept = null;
    function show(op) {
      told.textContent = op ? op.dataset.detail : empty;
      told.classList.toggle("set", !!op);
    }
    function at(event) { return event.target.closest(".op[data-detail]"); }
    box.addEventListener("pointerover", function (event) { var op = at(event); if (op) show(op); });
    box.addEventListener("pointerout", function (event) { if (at(event)) show(kept); });
    box.addEventListener("click", function (event) {
      var op = at(event);
      if (!op) return;
      if (kept) kept.classList.remove("on");
      kept = kept === op ? null : op;
      if (kept) kept.classList.add("on");
      show(kept);
    });
  });
})();
