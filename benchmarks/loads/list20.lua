local common = require("common")
request = function() return common.list(20) end
done = common.done
