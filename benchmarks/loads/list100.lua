local common = require("common")
request = function() return common.list(100) end
done = common.done
