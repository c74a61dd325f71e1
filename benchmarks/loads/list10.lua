local common = require("common")
request = function() return common.list(10) end
done = common.done
